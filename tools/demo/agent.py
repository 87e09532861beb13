"""Send work as Claude Code does: hooks, telemetry and model calls (docs/recording.md).

Manual commands and changes are not sent. They are visible only in the submission.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from rules.timestamps import format_timestamp
from tools.demo.work import Action, todos

HOOKS, TELEMETRY, MODEL = "/v1/hooks/claude-code", "/v1/otlp/v1/logs", "/v1/proxy/anthropic/v1/messages"
FOLDER = "/home/dev/assessment"
VERSION = "2.1.197"
SYSTEM = f"You are Claude Code, Anthropic's official CLI.\n\nWorking directory: {FOLDER}"
TOOLS = ("Bash", "Edit", "Grep", "Read", "TodoWrite", "Write")
CALL_USAGE = {"inputTokens": 400, "outputTokens": 120, "cacheReadTokens": 21_000}


class Request(NamedTuple):
    """A request. A model call also includes the model's response."""

    path: str
    body: dict[str, Any]
    response: dict[str, Any] | None = None
    request_id: str = ""


class Agent:
    """A Claude Code session in a candidate's workspace.

    is_proxied -- whether its model calls go through the service instead of the candidate's own account
    """

    def __init__(self, seed: int, model: str, is_proxied: bool):
        self.model, self.is_proxied = model, is_proxied
        self._seed, self._number, self._prompt_id = seed, 0, ""
        self._messages: list[dict[str, Any]] = []
        self.session = self._new_id("session")

    def requests(self, action: Action, at: datetime) -> Iterator[Request]:
        """Build an action's requests."""
        builder = getattr(self, f"_{action.kind}", None)
        if builder:
            yield from builder(at=at, **action.data)

    def _start(self, at):
        yield self._hook("SessionStart", source="startup", model=self.model)

    def _prompt(self, at, text):
        self._prompt_id = self._new_id("prompt")
        self._messages.append({"role": "user", "content": text})
        yield self._hook("UserPromptSubmit", prompt=text, permission_mode="default")

    def _todo(self, at, names, done):
        entries = todos(names, done)
        arguments, response = {"todos": entries}, {"newTodos": entries}
        yield from self._call(at, "TodoWrite", arguments, response, "Todos have been modified")

    def _read(self, at, path, content):
        file = {"filePath": f"{FOLDER}/{path}", "content": content, "numLines": content.count("\n")}
        lines = "\n".join(f"{number}\t{line}" for number, line in enumerate(content.split("\n"), start=1))
        response = {"type": "text", "file": file}
        yield from self._call(at, "Read", {"file_path": file["filePath"]}, response, lines)

    def _search(self, at, pattern, count):
        response = {"mode": "files_with_matches", "numFiles": count}
        yield from self._call(at, "Grep", {"pattern": pattern}, response, f"Found {count} files")

    def _change(self, at, path, before, after, old, new):
        file = f"{FOLDER}/{path}"
        result = (
            f"File created successfully at: {file}"
            if before is None
            else f"The file {file} has been updated."
        )
        response = {"filePath": file, "originalFile": before}
        if before is None or old is None:
            name, arguments = "Write", {"content": after}
            response["type"] = "create" if before is None else "update"
        else:
            name, arguments = "Edit", {"old_string": old, "new_string": new}
            response |= {"oldString": old, "newString": new}
        yield from self._call(at, name, {"file_path": file, **arguments}, response, result)

    def _run(self, at, command, code, output):
        if code:
            result = f"Exit code {code}\n{output}"
            yield from self._call(at, "Bash", {"command": command}, None, result, failed=True)
        else:
            response = {"stdout": output, "stderr": "", "interrupted": False}
            yield from self._call(at, "Bash", {"command": command}, response, output)

    def _say(self, at, text, usage):
        yield from self._respond(at, [{"type": "text", "text": text}], usage)
        yield self._hook("Stop", last_assistant_message=text)

    def _call(
        self, at: datetime, name: str, arguments: dict, response: Any, result: str, failed: bool = False
    ) -> Iterator[Request]:
        """Simulate a tool call by the model, and its execution by the agent."""
        tool_use_id = f"toolu_{self._new_id('call')}"
        tool_use = {"type": "tool_use", "id": tool_use_id, "name": name, "input": arguments}
        yield from self._respond(at, [tool_use], CALL_USAGE)
        call = {"tool_name": name, "tool_input": arguments, "tool_use_id": tool_use_id}
        yield self._hook("PreToolUse", **call)
        if failed:
            yield self._hook("PostToolUseFailure", **call, error=result)
        else:
            yield self._hook("PostToolUse", **call, tool_response=response)
        tool_result = {
            "type": "tool_result",
            "tool_use_id": tool_use_id,
            "content": result,
            "is_error": failed,
        }
        self._messages.append({"role": "user", "content": [tool_result]})

    def _respond(
        self, at: datetime, content: list[dict[str, Any]], usage: dict[str, int]
    ) -> Iterator[Request]:
        """Simulate a response of the model, and the agent's usage report."""
        request_id = f"req_{self._new_id('request')}"
        tokens = {"input_tokens": usage["inputTokens"], "output_tokens": usage["outputTokens"]}
        if self.is_proxied:
            body = {
                "model": self.model, "max_tokens": 32_000, "messages": [*self._messages],
                "system": [{"type": "text", "text": SYSTEM}], "tools": [{"name": name} for name in TOOLS],
                "metadata": {"user_id": json.dumps({"session_id": self.session})},
            }  # fmt: skip
            response = {
                "type": "message", "id": f"msg_{self._new_id('message')}", "role": "assistant", "model": self.model,
                "content": content, "usage": tokens | {"cache_read_input_tokens": usage["cacheReadTokens"]},
            }  # fmt: skip
            yield Request(MODEL, body, response, request_id)
        self._messages.append({"role": "assistant", "content": content})
        attributes = {
            "event.name": "api_request", "event.timestamp": format_timestamp(at), "event.sequence": self._number,
            "session.id": self.session, "model": self.model, "request_id": request_id,
            "query_source": "repl_main_thread", "cache_read_tokens": usage["cacheReadTokens"], **tokens,
        }  # fmt: skip
        yield Request(TELEMETRY, _logs(attributes))

    def _hook(self, name: str, **fields: Any) -> Request:
        common = {"hook_event_name": name, "session_id": self.session, "cwd": FOLDER}
        return Request(HOOKS, common | {"prompt_id": self._prompt_id} | fields)

    def _new_id(self, kind: str) -> str:
        self._number += 1
        return hashlib.sha256(f"{self._seed} {kind} {self._number}".encode()).hexdigest()[:24]


def _logs(attributes: dict[str, Any]) -> dict[str, Any]:
    resource = {"service.name": "claude-code", "service.version": VERSION}
    scope = {"logRecords": [{"attributes": _attributes(attributes)}]}
    return {"resourceLogs": [{"resource": {"attributes": _attributes(resource)}, "scopeLogs": [scope]}]}


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue"}
    return [{"key": name, "value": {kinds[type(value)]: value}} for name, value in values.items()]
