"""Work as the events of the candidate's client, signed (docs/candidate-client.md, sections 5 and 7)."""

import base64
import difflib
import hashlib
import json
import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rules.timestamps import format_timestamp
from tools.demo.work import Action, todos

Event = dict[str, Any]


class Signer:
    """The key pair of a client, and the chain of its signatures."""

    def __init__(self, seed: int):
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"demo {seed}".encode()).digest())
        self._last = ""

    @property
    def public_key(self) -> str:
        return base64.b64encode(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def sign(self, event: Event) -> Event:
        """The event with its signature, as the next one of the chain."""
        # The service also accepts a signature over unescaped text.
        data = json.dumps(event["data"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        named = [event[name] for name in ("id", "sessionId", "ts", "kind", "source")]
        digest = hashlib.sha256(data.encode()).hexdigest()
        message = "\n".join(["PST-EVT-V1", *named, "1", digest, self._last, ""])
        previous, self._last = self._last, self._key.sign(message.encode()).hex()
        return event | {"sig": self._last} | ({"prevSig": previous} if previous else {})


class Client:
    """The client of one session, with a coding agent as its `tool`."""

    def __init__(self, session_id: str, signer: Signer, tool: str, model: str, seed: int):
        self.session_id, self.signer, self.tool, self.model = session_id, signer, tool, model
        self._random = random.Random(seed)
        self._totals = {"inputTokens": 0, "outputTokens": 0, "cacheReadTokens": 0}

    def events(self, action: Action, at: datetime) -> Iterator[Event]:
        """The events of one action, signed."""
        for number, (kind, source, actor, data, more) in enumerate(
            getattr(self, f"_{action.kind}")(**action.data)
        ):
            event = {
                "id": str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
                "sessionId": self.session_id,
                "ts": format_timestamp(at + timedelta(milliseconds=number)),
                "kind": kind,
                "v": 1,
                "source": source,
                "actor": {"type": actor},
                "data": data,
            }
            yield self.signer.sign(event | more)

    def _start(self):
        yield "session_start", "cli", "system", {"editorCapture": {"status": "declined"}}, {}
        yield "session_start", self.tool, "system", {"model": self.model, "source": "startup"}, {}

    def _prompt(self, text):
        yield "prompt", self.tool, "human", {"text": text}, _made("likely_human", "hook")

    def _todo(self, names, done):
        yield self._intent("TodoWrite", f"{len(names)} steps")
        yield (
            "planning",
            self.tool,
            "ai",
            {"toolName": "TodoWrite", "todos": todos(names, done)},
            _made("likely_ai", "hook"),
        )

    def _read(self, path, content):
        yield self._intent("Read", path)
        yield "file_read", self.tool, "ai", {"path": path, "numLines": content.count("\n")}, {}

    def _search(self, pattern, count):
        yield self._intent("Grep", pattern)
        yield "file_search", self.tool, "ai", {"pattern": pattern, "resultsCount": count}, {}

    def _change(self, path, before, after, old, new):
        yield self._intent("Write" if before is None else "Edit", path)
        kind = "file_create" if before is None else "file_diff"
        yield kind, self.tool, "ai", change(path, before, after), _made("likely_ai", "hook")

    def _change_by_hand(self, path, before, after, old, new):
        data = change(path, before, after) | {"_gitPoll": True}
        yield "file_diff", "cli", "human", data, _made("likely_human", "git-poll")

    def _run(self, command, code, output):
        yield self._intent("Bash", command)
        data = _command(command, code, output, self._random.randint(300, 2500))
        yield "command", self.tool, "ai", data, _made("likely_ai", "transcript-jsonl")

    def _run_by_hand(self, command, code, output):
        data = _command(command, code, output, self._random.randint(300, 2500)) | {"human": True}
        yield "command", "terminal", "human", data, _made("likely_human", "shell")

    def _say(self, text, usage):
        data = {"lastAssistantMessage": text, "turnDurationMs": self._random.randint(4000, 60_000)}
        if self.tool == "codex":  # running totals, without a model
            self._totals = {name: count + usage[name] for name, count in self._totals.items()}
            data |= self._totals
        else:
            data |= usage | {"model": self.model, "usageScope": "request"}
        yield "ai_response", self.tool, "ai", data, _made("likely_ai", "transcript-jsonl")

    def _decision(self, **decision):
        yield "decision_event", "cli", "human", decision, _made("likely_human", "explain")

    def _intent(self, tool, preview):
        return "tool_intent", self.tool, "ai", {"toolName": tool, "inputPreview": preview}, {}


def change(path: str, before: str | None, after: str) -> dict[str, Any]:
    """The fields of a change that describe it."""
    old, new = (before or "").splitlines(keepends=True), after.splitlines(keepends=True)
    name = "/dev/null" if before is None else f"a/{path}"
    lines = list(difflib.unified_diff(old, new, name, f"b/{path}"))
    added = sum(line.startswith("+") for line in lines[2:])
    removed = sum(line.startswith("-") for line in lines[2:])
    return {"path": path, "diff": "".join(lines), "linesAdded": added, "linesRemoved": removed}


def _command(command: str, code: int, output: str, duration: int) -> dict[str, Any]:
    return {"command": command, "exitCode": code, "durationMs": duration, "stdout": output, "stderr": ""}


def _made(attribution: str, method: str) -> Event:
    return {"provenance": {"attribution": attribution, "methods": [method]}}
