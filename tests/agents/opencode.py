"""A scenario of opencode, with two of the APIs that it speaks."""

import json
from functools import partial
from pathlib import Path

from tests.agents.scenario import Access, Scenario
from tests.agents.script import Answer, Call, Conversation, Event, Prompt
from tests.agents.tools import Machine
from tests.agents.workspace import ADD_MULTIPLY, RUN_TESTS, Workspace

FIX = "add() in calc.py gives wrong results. Find out why and fix it."
MULTIPLY = "Now add multiply() with a test."
COUNT = "Count the functions in calc.py and report the number."


class Tools(Workspace):
    """opencode's tools."""

    def read(self, name: str) -> Call:
        return Call("read", {"filePath": self.path(name)}, Event("file_read", path=name))

    def bash(self, command: str) -> Call:
        """opencode does not tell the model the exit code, so it can't be recorded."""
        done = Event("command", command=command, exitCode=None)
        return Call("bash", {"command": command, "description": "Run a command"}, done)

    def edit_call(self, name: str, old: str, new: str, *, every: bool = False) -> Call:
        arguments = {"filePath": self.path(name), "oldString": old, "newString": new, "replaceAll": every}
        return Call("edit", arguments, self.edit(name, old, new, every=every))

    def write_call(self, name: str, content: str) -> Call:
        return Call("write", {"filePath": self.path(name), "content": content}, self.write(name, content))

    def todos(self, **statuses: str) -> Call:
        todos = [
            {"id": str(number), "content": content, "status": status, "priority": "high"}
            for number, (content, status) in enumerate(statuses.items())
        ]
        return Call("todowrite", {"todos": todos}, Event("planning"))

    def task(self, prompt: str, *conversation: Answer) -> Call:
        arguments = {"description": "Count functions", "prompt": prompt, "subagent_type": "general"}
        return Call("task", arguments, Event("task_dispatch"), conversation=[Prompt(prompt), *conversation])


def over_messages(folder: Path) -> Scenario:
    """With Anthropic's Messages API."""
    return scenario("messages", folder, "anthropic/claude-sonnet-4-5")


def over_chat_completions(folder: Path) -> Scenario:
    """With the Chat Completions API and a model without a price."""
    return scenario("chat", folder, "proofstone/made-up-model")


def scenario(name: str, folder: Path, model: str) -> Scenario:
    """`opencode run`, continued once, with a subagent, parallel calls, and a model call that is rejected once."""
    tools = Tools(folder)
    conversation: Conversation = [
        Prompt(FIX),
        Answer("I'll read the code and its test.", tools.read("calc.py"), tools.read("test_calc.py")),
        Answer(tools.todos(Reproduce="in_progress", Fix="pending")),
        Answer("The test shows the fault.", tools.bash(RUN_TESTS)),
        Answer("add subtracts.", tools.edit_call("calc.py", "return a - b", "return a + b")),
        Answer(tools.bash(RUN_TESTS), rejected_with=529),
        Answer(
            "An agent counts the functions.",
            tools.task(COUNT, Answer(tools.read("calc.py")), Answer("There are 2 functions.")),
        ),
        Answer(tools.write_call("CHANGES.md", "# Changes\n\n- add() adds.\n")),
        Answer(tools.read("README.md"), tools.read("terms.txt")),
        Answer(
            "Three changes at once.",
            tools.write_call("README.md", "# Calc\n\nAdds numbers correctly.\n"),
            tools.edit_call("terms.txt", "größer als null", "≥ 0", every=True),
            tools.bash("sleep 0.2; exit 3"),
        ),
        Answer(tools.todos(Reproduce="completed", Fix="completed")),
        Answer("add() now adds."),
        Prompt(MULTIPLY),
        *[Answer(tools.edit_call(*edit)) for edit in ADD_MULTIPLY],
        Answer("Both are written.", tools.bash(RUN_TESTS)),
        Answer("multiply() works."),
    ]
    return Scenario(name, "opencode", conversation, tools, partial(play, model))


def play(model: str, machine: Machine, access: Access) -> None:
    own = {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": access.openai, "apiKey": access.key}}
    known = {"tool_call": True, "limit": {"context": 200_000, "output": 8_000}}
    config = {
        "model": model,
        "permission": "allow",
        "autoupdate": False,
        "provider": {
            "anthropic": {"options": {"baseURL": f"{access.anthropic}/v1", "apiKey": access.key}},
            "proofstone": own | {"models": {"made-up-model": known}},
        },
    }
    folder = machine.home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps(config))
    machine.environment |= {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"}
    # It would put a text with blanks in quotes.
    machine.run("opencode", "run", *FIX.split())
    machine.run("opencode", "run", "--continue", *MULTIPLY.split())
