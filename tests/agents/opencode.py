"""opencode scenarios with two APIs."""

import json
from functools import partial
from pathlib import Path

from rules import workspace_files
from tests.agents.scenario import Access, Scenario
from tests.agents.script import Answer, Call, Event, Prompt
from tests.agents.tools import Machine
from tests.agents.workspace import FIX, MULTIPLY, Workspace, fix_and_multiply


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
    return scenario("messages", folder, "anthropic/claude-sonnet-4-5", has_plugin=True)


def over_chat_completions(folder: Path) -> Scenario:
    # The model has no price.
    return scenario("chat", folder, "proofstone/made-up-model", has_plugin=False)


def scenario(name: str, folder: Path, model: str, *, has_plugin: bool) -> Scenario:
    """`opencode run`, continued once."""
    tools = Tools(folder, has_plugin=has_plugin)
    conversation = fix_and_multiply(tools, "terms.txt")
    return Scenario(name, "opencode", conversation, tools, partial(play, model, has_plugin))


def play(model: str, has_plugin: bool, machine: Machine, access: Access) -> None:
    openai = {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": access.openai, "apiKey": access.key}}
    limits = {"tool_call": True, "limit": {"context": 200_000, "output": 8_000}}
    config = {
        "model": model,
        "permission": "allow",
        "autoupdate": False,
        "provider": {
            "anthropic": {"options": {"baseURL": f"{access.anthropic}/v1", "apiKey": access.key}},
            "proofstone": openai | {"models": {"made-up-model": limits}},
        },
    }
    if has_plugin:
        config["plugin"] = [install_plugin(machine, access)]
    folder = machine.home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps(config))
    machine.environment |= {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"}
    # opencode would quote a text with spaces.
    machine.run("opencode", "run", *FIX.split())
    machine.run("opencode", "run", "--continue", *MULTIPLY.split())


def install_plugin(machine: Machine, access: Access) -> str:
    """Write the plugin's files as the workspace's script does; return the plugin's address."""
    workspace = workspace_files.Workspace(
        access.address, "session", access.key, None, frozenset({"anthropic"})
    )
    folder = machine.home / ".proofstone" / workspace.session_id
    folder.mkdir(parents=True)
    (folder / "key").write_text(access.key)
    (folder / "opencode.js").write_text(workspace_files.opencode_plugin(workspace))
    (plugin,) = workspace_files.opencode_settings(workspace)["plugin"]
    return plugin
