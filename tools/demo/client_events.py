"""Send work as the candidate's client does: signed events (docs/candidate-client.md, sections 5 and 7)."""

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
    """A client's key pair and signature chain."""

    def __init__(self, seed: int):
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"demo {seed}".encode()).digest())
        self._last_signature = ""

    @property
    def public_key(self) -> str:
        return base64.b64encode(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def sign(self, event: Event) -> Event:
        """Sign the next event in the chain."""
        # The service also accepts signatures over unescaped JSON.
        data = json.dumps(event["data"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        fields = [event[name] for name in ("id", "sessionId", "ts", "kind", "source")]
        digest = hashlib.sha256(data.encode()).hexdigest()
        message = "\n".join(["PST-EVT-V1", *fields, "1", digest, self._last_signature, ""])
        previous, self._last_signature = self._last_signature, self._key.sign(message.encode()).hex()
        return event | {"sig": self._last_signature} | ({"prevSig": previous} if previous else {})


class Client:
    """A session's client, with a coding agent as its `tool`."""

    def __init__(self, session_id: str, signer: Signer, tool: str, model: str, seed: int):
        self.session_id, self.signer, self.tool, self.model = session_id, signer, tool, model
        self._random = random.Random(seed)
        self._totals = {"inputTokens": 0, "outputTokens": 0, "cacheReadTokens": 0}

    def events(self, action: Action, at: datetime) -> Iterator[Event]:
        """Build and sign an action's events."""
        builder = getattr(self, f"_{action.kind}")
        for number, (kind, source, actor, data, extra_fields) in enumerate(builder(**action.data)):
            event = {
                "id": str(uuid.UUID(int=self._random.getrandbits(128), version=4)), "sessionId": self.session_id,
                "ts": format_timestamp(at + timedelta(milliseconds=number)), "kind": kind, "v": 1,
                "source": source, "actor": {"type": actor}, "data": data,
            }  # fmt: skip
            yield self.signer.sign(event | extra_fields)

    def _start(self):
        yield "session_start", "cli", "system", {"editorCapture": {"status": "declined"}}, {}
        yield "session_start", self.tool, "system", {"model": self.model, "source": "startup"}, {}

    def _prompt(self, text):
        yield "prompt", self.tool, "human", {"text": text}, _provenance("likely_human", "hook")

    def _todo(self, names, done):
        yield self._intent("TodoWrite", f"{len(names)} steps")
        data = {"toolName": "TodoWrite", "todos": todos(names, done)}
        yield "planning", self.tool, "ai", data, _provenance("likely_ai", "hook")

    def _read(self, path, content):
        yield self._intent("Read", path)
        yield "file_read", self.tool, "ai", {"path": path, "numLines": content.count("\n")}, {}

    def _search(self, pattern, count):
        yield self._intent("Grep", pattern)
        yield "file_search", self.tool, "ai", {"pattern": pattern, "resultsCount": count}, {}

    def _change(self, path, before, after, old, new):
        yield self._intent("Write" if before is None else "Edit", path)
        kind = "file_create" if before is None else "file_diff"
        yield kind, self.tool, "ai", _diff(path, before, after), _provenance("likely_ai", "hook")

    def _manual_change(self, path, before, after, old, new):
        data = _diff(path, before, after) | {"_gitPoll": True}
        yield "file_diff", "cli", "human", data, _provenance("likely_human", "git-poll")

    def _run(self, command, code, output):
        yield self._intent("Bash", command)
        data = _command(command, code, output, self._random.randint(300, 2500))
        yield "command", self.tool, "ai", data, _provenance("likely_ai", "transcript-jsonl")

    def _manual_run(self, command, code, output):
        data = _command(command, code, output, self._random.randint(300, 2500)) | {"human": True}
        yield "command", "terminal", "human", data, _provenance("likely_human", "shell")

    def _say(self, text, usage):
        data = {"lastAssistantMessage": text, "turnDurationMs": self._random.randint(4000, 60_000)}
        if self.tool == "codex":  # reports running totals and no model
            self._totals = {name: count + usage[name] for name, count in self._totals.items()}
            data |= self._totals
        else:
            data |= usage | {"model": self.model, "usageScope": "request"}
        yield "ai_response", self.tool, "ai", data, _provenance("likely_ai", "transcript-jsonl")

    def _decision(self, **decision):
        yield "decision_event", "cli", "human", decision, _provenance("likely_human", "explain")

    def _intent(self, tool, preview):
        return "tool_intent", self.tool, "ai", {"toolName": tool, "inputPreview": preview}, {}


def _diff(path: str, before: str | None, after: str) -> dict[str, Any]:
    old, new = (before or "").splitlines(keepends=True), after.splitlines(keepends=True)
    name = "/dev/null" if before is None else f"a/{path}"
    lines = list(difflib.unified_diff(old, new, name, f"b/{path}"))
    added = sum(line.startswith("+") for line in lines[2:])
    removed = sum(line.startswith("-") for line in lines[2:])
    return {"path": path, "diff": "".join(lines), "linesAdded": added, "linesRemoved": removed}


def _command(command: str, code: int, output: str, duration: int) -> dict[str, Any]:
    return {"command": command, "exitCode": code, "durationMs": duration, "stdout": output, "stderr": ""}


def _provenance(attribution: str, method: str) -> Event:
    return {"provenance": {"attribution": attribution, "methods": [method]}}
