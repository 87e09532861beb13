"""opencode scenarios with two APIs."""

import json
from functools import partial
from pathlib import Path

from tests.agents import settings
from tests.agents.scenario import Access, Scenario, Step
from tests.agents.script import Answer, Call, Conversation, Event, Prompt
from tests.agents.tools import Machine
from tests.agents.workspace import COUNT, FIX, MULTIPLY, RUN_TESTS, Workspace, fix_and_multiply

MODEL = "anthropic/claude-sonnet-4-5"


class Tools(Workspace):
    """opencode's tools.

    has_plugin -- whether the workspace's plugin reports exit codes
    """

    def __init__(self, folder: Path, *, has_plugin: bool):
        super().__init__(folder)
        self.has_plugin = has_plugin

    def read(self, name: str) -> Call:
        return Call("read", {"filePath": self.path(name)}, Event("file_read", path=name))

    def bash(self, command: str, exit_code: int = 0) -> Call:
        """Run a command. opencode does not report the exit code to the model, so the proxy can't record it."""
        self.commands.append((command, exit_code if self.has_plugin else None))
        done = Event("command", command=command, exitCode=None)
        return Call("bash", {"command": command, "description": "Run a command"}, done)

    def edit_call(self, name: str, old: str, new: str, *, every: bool = False) -> Call:
        arguments = {"filePath": self.path(name), "oldString": old, "newString": new, "replaceAll": every}
        return Call("edit", arguments, self.edit(name, old, new, every=every))

    def write_call(self, name: str, content: str) -> Call:
        return Call("write", {"filePath": self.path(name), "content": content}, self.write(name, content))

    def start_tasks(self) -> list[Call]:
        return [self._todos("pending")]

    def finish_tasks(self) -> list[Call]:
        return [self._todos("completed")]

    def _todos(self, status: str) -> Call:
        todo = {"id": "1", "content": "Fix", "status": status, "priority": "high"}
        return Call("todowrite", {"todos": [todo]}, Event("planning"))

    def subagent(self, prompt: str, *conversation: Answer) -> Call:
        arguments = {"description": "Count functions", "prompt": prompt, "subagent_type": "general"}
        conversation = (Answer(self.bash("exit 5", exit_code=5)), *conversation)
        return Call("task", arguments, Event("task_dispatch"), conversation=[Prompt(prompt), *conversation])


def over_messages(folder: Path) -> Scenario:
    return scenario("messages", folder, MODEL, settings.prepare, has_plugin=True)


def with_own_model(folder: Path) -> Scenario:
    """`opencode run` with commands only: the plugin reports nothing else."""
    tools = Tools(folder, has_plugin=True)
    conversation: Conversation = [
        Prompt(FIX),
        Answer(tools.bash(RUN_TESTS, exit_code=1)),
        Answer(tools.subagent(COUNT, Answer("There are 2 functions."))),
        Answer(tools.bash("sed -i s/-/+/ calc.py")),
        Answer(tools.bash(RUN_TESTS)),
        Answer("add() now adds."),
    ]
    tools.edit("calc.py", "a - b", "a + b")
    play_once = partial(play, MODEL, [FIX])
    return Scenario("opencode", "opencode", conversation, tools, settings.use_own_model, play_once)


def over_chat_completions(folder: Path) -> Scenario:
    # The model has no price.
    return scenario("chat", folder, "proofstone/made-up-model", use_chat_completions, has_plugin=False)


def scenario(name: str, folder: Path, model: str, set_up: Step, *, has_plugin: bool) -> Scenario:
    """`opencode run`, continued once."""
    tools = Tools(folder, has_plugin=has_plugin)
    conversation = fix_and_multiply(tools, "terms.txt")
    return Scenario(name, "opencode", conversation, tools, set_up, partial(play, model, [FIX, MULTIPLY]))


def use_chat_completions(machine: Machine, access: Access) -> None:
    limits = {"tool_call": True, "limit": {"context": 200_000, "output": 8_000}}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": access.openai, "apiKey": access.key},
        "models": {"made-up-model": limits},
    }
    config = {"autoupdate": False, "provider": {"proofstone": provider}}
    (machine.home / ".opencode.json").write_text(json.dumps(config))
    machine.environment["OPENCODE_CONFIG"] = str(machine.home / ".opencode.json")


def play(model: str, prompts: list[str], machine: Machine, access: Access) -> None:
    folder = machine.home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps({"model": model, "permission": "allow"}))
    machine.environment |= {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"}
    for number, prompt in enumerate(prompts):
        # opencode would quote a text with spaces.
        machine.run("opencode", "run", *["--continue"][:number], *prompt.split())
