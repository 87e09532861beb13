"""A Codex scenario."""

import re
from pathlib import Path
from typing import Any

from tests.agents.scenario import Access, Scenario, Step
from tests.agents.script import Answer, Call, Conversation, Event, Prompt
from tests.agents.tools import Machine
from tests.agents.workspace import COUNT, FIX, RUN_TESTS, Workspace

MULTIPLY = "Now add multiply() with a test, and remove the notes."
SUBAGENTS = "multi_agent_v1"  # the namespace of tools for subagents
CONFIG = """
model_provider = "proofstone"
check_for_update_on_startup = false

[model_providers.proofstone]
name = "Proofstone"
base_url = "{base_url}"
env_key = "PROOFSTONE_KEY"
wire_api = "responses"
"""
OPTIONS = ("--model", "gpt-5.5", "--dangerously-bypass-approvals-and-sandbox")


class Tools(Workspace):
    """Codex's tools."""

    def run(self, command: str, exit_code: int = 0) -> Call:
        self.commands.append((command, exit_code))
        return Call("exec_command", {"cmd": command}, Event("command", command=command, exitCode=exit_code))

    def start(self, command: str) -> Call:
        """Run a command that is still running when the call returns."""
        arguments = {"cmd": command, "yield_time_ms": 250}
        return Call("exec_command", arguments, Event("command", command=command, exitCode=None))

    def finish(self, start: Call, exit_code: int) -> Call:
        """Wait for a running command, whose process id is in the start's result."""

        def arguments(request: str) -> dict[str, Any]:
            process = re.findall(r"running with session ID (\d+)", request)[-1]
            return {"session_id": int(process), "chars": "", "yield_time_ms": 20_000}

        self.commands.append((start.arguments["cmd"], exit_code))
        ended = Event("command", command=start.arguments["cmd"], exitCode=exit_code)
        return Call("write_stdin", arguments, ended, continues=start)

    def spawn(self, task: str, *conversation: Answer) -> Call:
        """Start a subagent, which works in parallel."""
        arguments, started = {"message": task}, Event("task_dispatch", taskPreview=task)
        return Call(
            f"{SUBAGENTS}.spawn_agent", arguments, started, conversation=[Prompt(task), *conversation]
        )

    def wait(self) -> Call:
        """Wait for the subagent, whose id is in the spawn call's result."""

        def arguments(request: str) -> dict[str, Any]:
            return {"targets": [re.findall(r"agent_id\W+([0-9a-f-]{36})", request)[-1]], "timeout_ms": 20_000}

        return Call(f"{SUBAGENTS}.wait_agent", arguments, Event("tool_use", toolName="wait_agent", ok=True))

    def patch(self, *hunks: str, changes: list[Event]) -> Call:
        text = "\n".join(["*** Begin Patch", *hunks, "*** End Patch"])
        return Call("apply_patch", text, *changes)


def use_proxy(machine: Machine, access: Access) -> None:
    (machine.home / ".codex").mkdir()
    (machine.home / ".codex" / "config.toml").write_text(CONFIG.format(base_url=access.openai))
    machine.environment["PROOFSTONE_KEY"] = access.key


def headless(folder: Path, name: str = "codex", set_up: Step = use_proxy) -> Scenario:
    """`codex exec`, resumed once, with a subagent, multi-file patches, and a model call that is rejected once."""
    tools = Tools(folder)
    long_command = tools.start("sleep 1; exit 4")
    conversation: Conversation = [
        Prompt(FIX),
        Answer("I'll read the code and its test.", tools.run("cat calc.py"), tools.run("cat test_calc.py")),
        Answer("The test reproduces the bug.", tools.run(RUN_TESTS, exit_code=1)),
        Answer(
            "add() subtracts.",
            tools.patch(
                "*** Update File: calc.py",
                "@@ def add(a, b):",
                "-    return a - b",
                "+    return a + b",
                changes=[tools.edit("calc.py", "return a - b", "return a + b")],
            ),
        ),
        Answer(tools.run(RUN_TESTS), rejected_with=503),
        Answer(
            tools.patch(
                "*** Add File: CHANGES.md",
                "+# Changes",
                "+",
                "+- add() adds.",
                changes=[tools.write("CHANGES.md", "# Changes\n\n- add() adds.\n")],
            )
        ),
        Answer(
            "A subagent counts the functions.",
            tools.spawn(COUNT, Answer(tools.run("cat calc.py")), Answer("Two.")),
        ),
        Answer(tools.wait()),
        Answer(tools.run("sleep 0.2; exit 3", exit_code=3)),
        Answer(long_command),
        Answer(tools.finish(long_command, 4)),
        Answer("add() now adds."),
        Prompt(MULTIPLY),
        Answer(tools.run("cat calc.py"), tools.run("cat notes.txt"), tools.run("cat README.md")),
        Answer(
            "One patch changes several files.",
            tools.patch(
                "*** Update File: calc.py",
                "@@",
                "+def multiply(a, b):",
                "+    return a * b",
                "+",
                "+",
                " def total(numbers):",
                "     result = 0",
                "*** Delete File: notes.txt",
                "*** Update File: README.md",
                "@@",
                "-Adds numbers.",
                "+Adds and multiplies numbers.",
                changes=[
                    tools.edit(
                        "calc.py", "def total", "def multiply(a, b):\n    return a * b\n\n\ndef total"
                    ),
                    tools.delete("notes.txt"),
                    tools.edit("README.md", "Adds numbers.", "Adds and multiplies numbers."),
                ],
            ),
        ),
        Answer(
            tools.patch(
                "*** Update File: test_calc.py",
                "@@",
                "         self.assertEqual(calc.add(2, 3), 5)",
                "+",
                "+    def test_multiply(self):",
                "+        self.assertEqual(calc.multiply(2, 3), 6)",
                changes=[
                    tools.edit(
                        "test_calc.py",
                        "calc.add(2, 3), 5)\n",
                        "calc.add(2, 3), 5)\n\n    def test_multiply(self):\n"
                        "        self.assertEqual(calc.multiply(2, 3), 6)\n",
                    )
                ],
            )
        ),
        Answer(tools.run(RUN_TESTS)),
        Answer("multiply() works."),
    ]
    return Scenario(name, "codex", conversation, tools, set_up, play)


def play(machine: Machine, access: Access) -> None:
    command = "./codex" if (machine.workspace / "codex").exists() else "codex"
    machine.run(command, "exec", *OPTIONS, FIX)
    machine.run(command, "exec", *OPTIONS, "resume", "--last", MULTIPLY)
