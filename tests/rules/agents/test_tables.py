"""The tables of Codex and opencode: whatever a call has, its row raises nothing."""

import pytest

from rules.agents import codex, codex_text, opencode
from rules.agents.dialect import Outcome

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
    *(
        {name: value}
        for name in ("cmd", "command", "workdir", "session_id", "cell_id", "path", "plan", "message", "query")
        for value in (None, 7, [], [[]], {}, "x")
    ),
    *(
        {name: value}
        for name in (
            "filePath",
            "oldString",
            "newString",
            "content",
            "patchText",
            "pattern",
            "todos",
            "prompt",
        )
        for value in (None, 7, [], [[]], {}, "x")
    ),
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
    "Tool execution aborted",
]


@pytest.mark.parametrize("table", [codex, opencode])
@pytest.mark.parametrize("result", RESULTS)
def test_no_arguments_or_results_raise(table, result):
    for name in (*table.TOOLS, "mcp__a__b", "", "unknown"):
        for arguments in ARGUMENTS:
            for is_error in (None, True):
                outcome = Outcome("call_1", name, arguments, result, is_error)
                row = table.tool(name)
                assert all(isinstance(data, dict) for data in row.read(outcome))
                assert all(isinstance(touch.path, str) for touch in row.touches(outcome))
                table.rejection(outcome)


@pytest.mark.parametrize("said", [codex_text.said, opencode.said])
def test_no_text_raises(said):
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
    texts += ["<user_shell_command>\n</command>\n<result>\nExit code: 1\nOutput:\n"]
    assert all(isinstance(data, dict) for _, data in said(texts))
