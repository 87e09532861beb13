"""Two Claude Code scenarios: headless (resumed and compacted), and in a terminal."""

import json
import re
from pathlib import Path
from typing import Any

from tests.agents.scenario import Access, Scenario, Step
from tests.agents.script import Answer, Call, Conversation, Event, Prompt
from tests.agents.terminal import ENTER, ESCAPE, TIMEOUT_SECONDS, Terminal
from tests.agents.tools import Machine
from tests.agents.workspace import FIX, MULTIPLY, RUN_TESTS, Workspace, fix_and_multiply
from tests.live.service import wait_until

MODEL = ("--model", "claude-opus-4-8")
NO_UPDATES = {"DISABLE_AUTOUPDATER": "1"}

AGAIN = "Run the tests again."
PLAN = "Plan a function power()."
LONG_PLAN, SHORT_PLAN = "1. Write power()\n2. Write a test\n", "1. Write power()\n"
REMARK = "Better without tests."
WAIT = "Wait for the deployment."
EXPLAIN = "Explain the code."
BYE = "That's all, thanks."


class Tools(Workspace):
    """Claude Code's tools."""

    def read(self, name: str) -> Call:
        content = self.files[name]
        outcome = Event("file_read", path=name, numLines=len(content.splitlines()))
        return Call("Read", {"file_path": self.path(name)}, outcome)

    def bash(self, command: str, exit_code: int = 0) -> Call:
        self.commands.append((command, exit_code))
        done = Event("command", command=command, exitCode=exit_code)
        return Call("Bash", {"command": command, "description": "Run a command"}, done)

    def edit_call(self, name: str, old: str, new: str, *, every: bool = False) -> Call:
        arguments = {"file_path": self.path(name), "old_string": old, "new_string": new, "replace_all": every}
        return Call("Edit", arguments, self.edit(name, old, new, every=every))

    def write_call(self, name: str, content: str) -> Call:
        return Call("Write", {"file_path": self.path(name), "content": content}, self.write(name, content))

    def start_tasks(self) -> list[Call]:
        tasks = [{"subject": subject, "description": subject} for subject in ("Reproduce", "Fix")]
        return [Call("TaskCreate", task, Event("planning", **task)) for task in tasks]

    def finish_tasks(self) -> list[Call]:
        tasks = [{"taskId": number, "status": "completed"} for number in ("1", "2")]
        return [Call("TaskUpdate", task, Event("planning", **task)) for task in tasks]

    def subagent(self, prompt: str, *conversation: Answer) -> Call:
        arguments = {"description": "Count functions", "prompt": prompt, "subagent_type": "general-purpose"}
        return Call("Agent", arguments, Event("task_dispatch"), conversation=[Prompt(prompt), *conversation])

    def plan(self, content: str, event: Event) -> Call:
        """Write the plan to the path that Claude Code gives the model in plan mode."""

        def arguments(request: str) -> dict[str, str]:
            path = re.findall(r"/\S+/\.claude/plans/[\w-]+\.md", request)[-1]
            return {"file_path": path, "content": content}

        return Call("Write", arguments, event)

    def ask_for_approval(self, **decision: Any) -> Call:
        return Call("ExitPlanMode", {}, Event("plan_decision", **decision))

    def interrupted(self, name: str, arguments: dict[str, str]) -> Call:
        """Return a call that the user rejects or interrupts."""
        return Call(name, arguments, Event("interrupt", variant="tool_use", cutTool=name))


def use_proxy(machine: Machine, access: Access) -> None:
    machine.environment |= {"ANTHROPIC_BASE_URL": access.anthropic, "ANTHROPIC_AUTH_TOKEN": access.key}


def headless(folder: Path, name: str = "claude", set_up: Step = use_proxy) -> Scenario:
    """`claude -p`, resumed three times, and compacted before the last two prompts, which are identical."""
    tools = Tools(folder)
    conversation: Conversation = [
        *fix_and_multiply(tools, "notes.txt"),
        Prompt(AGAIN),
        Answer(tools.bash(RUN_TESTS)),
        Answer("All tests pass."),
        Prompt(AGAIN),
        Answer(tools.bash(RUN_TESTS)),
        Answer("They still pass."),
    ]
    return Scenario(name, "claude-code", conversation, tools, set_up, play_headless)


def play_headless(machine: Machine, access: Access) -> None:
    machine.environment |= NO_UPDATES
    allowed = ("--permission-mode", "acceptEdits", "--allowedTools", "Bash")
    machine.run("claude", "-p", FIX, *MODEL, *allowed)
    for prompt in (MULTIPLY, "/compact", AGAIN, AGAIN):
        machine.run("claude", "-p", prompt, "--continue", *MODEL, *allowed)


def in_a_terminal(folder: Path, name: str = "terminal", set_up: Step = use_proxy) -> Scenario:
    """`claude` in a terminal, initially in plan mode.

    The user rejects a plan with a comment, approves the next plan, rejects a new file, and interrupts a command and a
    response.
    """
    tools = Tools(folder)
    conversation: Conversation = [
        Prompt(PLAN),
        Answer("I'll look at it.", tools.read("calc.py")),
        Answer(tools.plan(LONG_PLAN, Event("file_create", content=LONG_PLAN))),
        Answer(tools.ask_for_approval(responsePreview=REMARK, approved=False)),
        Answer(tools.plan(SHORT_PLAN, Event("file_diff", linesAdded=0, linesRemoved=1))),
        Answer(tools.ask_for_approval(planPreview=SHORT_PLAN, approved=True)),
        Answer(tools.interrupted("Write", {"file_path": tools.path("power.py"), "content": "power = pow\n"})),
        Prompt(WAIT),
        Answer(
            "I'll wait.",
            tools.interrupted("Bash", {"command": "touch ~/waiting; sleep 60", "description": "Wait"}),
        ),
        Prompt(EXPLAIN),
        Answer("This is a long explanation.\n\nFirst, calc.py", never_ends=True),
        Prompt(BYE),
        Answer("Goodbye."),
    ]
    return Scenario(name, "claude-code", conversation, tools, set_up, play_in_a_terminal)


def play_in_a_terminal(machine: Machine, access: Access) -> None:
    machine.environment |= NO_UPDATES
    # Skip the first-run questions.
    known = {"hasTrustDialogAccepted": True}
    state = {"hasCompletedOnboarding": True, "theme": "dark", "projects": {str(machine.workspace): known}}
    (machine.home / ".claude.json").write_text(json.dumps(state))
    command = ["claude", "--permission-mode", "plan", *MODEL]
    with Terminal(command, machine.workspace, machine.environment) as screen:
        screen.wait_for("plan mode on")
        ask(screen, PLAN)
        screen.wait_for("Would you like to proceed?")
        screen.type("3")  # Tell Claude what to change
        ask(screen, REMARK)
        screen.wait_for("Would you like to proceed?")
        screen.type("2")  # Yes, manually approve edits
        screen.wait_for("Do you want to create power.py?")
        screen.type("3")  # No
        ask(screen, WAIT)
        screen.wait_for("Do you want to proceed?")
        screen.type("1")  # Yes
        wait_until((machine.home / "waiting").exists, "The command did not start.")
        screen.type(ESCAPE, is_animated=True)
        screen.wait_for("Interrupted")
        ask(screen, EXPLAIN)
        screen.wait_for("This is a long explanation.")
        screen.type(ESCAPE, is_animated=True)
        screen.wait_for("Interrupted")
        access.disconnected.wait(TIMEOUT_SECONDS)
        ask(screen, BYE)
        screen.wait_for("Goodbye.")
        ask(screen, "/exit")
        screen.wait_for_exit()


def ask(screen: Terminal, text: str) -> None:
    screen.type(text)
    screen.wait_for(text)
    screen.type(ENTER)
