"""Work as the hooks and the telemetry of Claude Code, which the workspace's settings send (docs/recording.md).

Commands and changes by hand have no hook: they show only in the hand-in.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rules.timestamps import format_timestamp
from tools.demo.work import Action, todos

HOOKS, TELEMETRY = "/v1/hooks/claude-code", "/v1/otlp/v1/logs"
FOLDER = "/home/dev/assessment"
VERSION = "2.1.197"
Request = tuple[str, dict[str, Any]]


class Agent:
    """One session of Claude Code in a candidate's workspace."""

    def __init__(self, seed: int, model: str):
        self.model, self._seed, self._number, self._prompt_id = model, seed, 0, ""
        self._session = self._name("session")

    def requests(self, action: Action, at: datetime) -> Iterator[Request]:
        """What an action sends: path and body."""
        read = getattr(self, f"_{action.kind}", None)
        if read:
            yield from read(at=at, **action.data)

    def _start(self, at):
        yield self._hook("SessionStart", source="startup", model=self.model)

    def _prompt(self, at, text):
        self._prompt_id = self._name("prompt")
        yield self._hook("UserPromptSubmit", prompt=text, permission_mode="default")

    def _todo(self, at, names, done):
        listed = todos(names, done)
        yield from self._call("TodoWrite", {"todos": listed}, {"newTodos": listed})

    def _read(self, at, path, content):
        file = {"filePath": f"{FOLDER}/{path}", "content": content, "numLines": content.count("\n")}
        yield from self._call("Read", {"file_path": file["filePath"]}, {"type": "text", "file": file})

    def _search(self, at, pattern, count):
        yield from self._call("Grep", {"pattern": pattern}, {"mode": "files_with_matches", "numFiles": count})

    def _change(self, at, path, before, after, old, new):
        file = f"{FOLDER}/{path}"
        if before is None or old is None:
            response = {
                "type": "create" if before is None else "update",
                "filePath": file,
                "originalFile": before,
            }
            yield from self._call("Write", {"file_path": file, "content": after}, response)
            return
        arguments = {"file_path": file, "old_string": old, "new_string": new}
        response = {"filePath": file, "oldString": old, "newString": new, "originalFile": before}
        yield from self._call("Edit", arguments, response)

    def _run(self, at, command, code, output):
        if code:
            yield from self._call("Bash", {"command": command}, error=f"Exit code {code}\n{output}")
        else:
            yield from self._call(
                "Bash", {"command": command}, {"stdout": output, "stderr": "", "interrupted": False}
            )

    def _say(self, at, text, usage):
        request_id = f"req_{self._name('request')}"
        names = {
            "inputTokens": "input_tokens",
            "outputTokens": "output_tokens",
            "cacheReadTokens": "cache_read_tokens",
        }
        counts = {names[name]: count for name, count in usage.items()}
        attributes = {
            "event.name": "api_request",
            "event.timestamp": format_timestamp(at),
            "event.sequence": self._number,
            "session.id": self._session,
            "model": self.model,
            "request_id": request_id,
            "query_source": "repl_main_thread",
            **counts,
        }
        yield TELEMETRY, _logs(attributes)
        yield self._hook("Stop", last_assistant_message=text)

    def _call(
        self, name: str, arguments: dict, response: Any = None, error: str | None = None
    ) -> Iterator[Request]:
        call = {"tool_name": name, "tool_input": arguments, "tool_use_id": f"toolu_{self._name('call')}"}
        yield self._hook("PreToolUse", **call)
        if error is None:
            yield self._hook("PostToolUse", **call, tool_response=response)
        else:
            yield self._hook("PostToolUseFailure", **call, error=error)

    def _hook(self, name: str, **members: Any) -> Request:
        common = {
            "hook_event_name": name,
            "session_id": self._session,
            "cwd": FOLDER,
            "prompt_id": self._prompt_id,
        }
        return HOOKS, common | members

    def _name(self, kind: str) -> str:
        self._number += 1
        return hashlib.sha256(f"{self._seed} {kind} {self._number}".encode()).hexdigest()[:24]


def _logs(attributes: dict[str, Any]) -> dict[str, Any]:
    resource = {"service.name": "claude-code", "service.version": VERSION}
    scope = {"logRecords": [{"attributes": _attributes(attributes)}]}
    return {"resourceLogs": [{"resource": {"attributes": _attributes(resource)}, "scopeLogs": [scope]}]}


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue"}
    return [{"key": name, "value": {kinds[type(value)]: value}} for name, value in values.items()]
