"""Known agents accept arbitrary calls and text, and an error affects only one call."""

from itertools import product

import pytest

from rules.agents.known_agents import AGENTS
from rules.agents.tools import Outcome, Tool, ToolTable

NAMES = (
    "cmd command workdir session_id cell_id path plan message query file_path old_string new_string edits offset limit "
    "url subagent_type filePath oldString newString content patchText pattern todos prompt"
)
ARGUMENTS = [
    None,
    True,
    7,
    "text",
    "*** Begin Patch\n*** Update File: \n*** End Patch",
    "const a = {",
    "await tools.apply_patch('*** Begin Patch');await tools.exec_command(7)",
    "await tools.exec_command({})",
    [],
    {},
    *({name: value} for name in NAMES.split() for value in (None, 7, [], [[]], {}, "x")),
]
RESULTS = [
    "",
    "Wall time: 9999999999999999999 seconds\nProcess exited with code 99999999999\nOutput:\n",
    "Process running with session ID 99999999999999999999\nOutput:\n",
    "Process exited with code 1\nOutput:\n",
    "Success. Updated the following files:\n",
    *(
        "Script completed\nOutput:\n" + f'{{"exit_code":1,"output":"","wall_time_seconds":{seconds}}}'
        for seconds in ("1e999", "-1e999", "NaN", "null")
    ),
    "Script running with cell ID x\n",
    "<type>file</type>\n<content>\n7: x\nx\n\n(End of file - total 0 lines)\n</content>",
    "<type>file</type>\n<content>\n\n\n(End of file - total 0 lines)\n</content>",
    "Edit applied successfully.",
    "Wrote file successfully.",
    "Found 99999999999999999999 matches",
    "aborted by user",
    "Exit code 99999999999999",
    "999999999\tx\n1000000000\ty",
    "Tool execution aborted",
]


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_arbitrary_calls_do_not_raise(agent):
    assert agent.tools.rows
    names = (*agent.tools.rows, "mcp__a__b", "mcp__", "", "unknown")
    for name, arguments, result, is_error in product(names, ARGUMENTS, RESULTS, (None, True)):
        outcome = Outcome("call_1", name, arguments, result, is_error)
        row = agent.tools.row(name)
        assert all(isinstance(data, dict) for data in row.read(outcome))
        assert all(isinstance(update.path, str) for update in row.file_updates(outcome))
        agent.rejection(outcome)


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_arbitrary_text_does_not_raise(agent):
    texts = [
        "",
        "<",
        "<a_b>",
        "<user_shell_command>",
        "[image]",
        "</image>",
        "# Context from my IDE setup:",
        "\ud800",
    ]
    texts.append("<user_shell_command>\n</command>\n<result>\nExit code: 1\nOutput:\n")
    assert all(isinstance(data, dict) for _, data in agent.user_events(texts))
    assert not any(agent.queued_prompts(text) or agent.is_summary(text) for text in texts)


def fail(outcome):
    raise ValueError


def test_a_call_that_cannot_be_read_becomes_a_generic_event_with_its_raw_text():
    table = ToolTable({"fails": Tool("command", fail, fail)})
    for arguments, raw in (("x" * 1_000, "x" * 1_000), ({"a": 1}, '{"a": 1}')):
        outcome = Outcome("call_1", "fails", arguments, "", None)
        [(kind, data)] = table.read(outcome)
        assert (kind, data["toolName"], data["input"]) == ("tool_use", "fails", raw)
        assert table.file_updates(outcome) == []
