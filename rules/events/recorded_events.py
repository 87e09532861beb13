"""Build envelopes for events recorded by the service's own channels (R36)."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from rules.events import masking
from rules.events.envelopes import CHANGE_KINDS, field, label

# Best first: a call recorded by several channels counts once, from the best channel.
CHANNELS = ("proxy", "http-hook", "otlp")
# Represents the candidate's client in lists of channels. Its events have no channel.
CLIENT = "client"
# Events with other texts that the model proxy saw. They count in no metric (R46).
CONTEXT = "context"
# Events that the service derives. What a client sends has the limits of R27.
MAX_EVENT_BYTES = 2**20
TRUNCATED = "\n[truncated]"
# The text of changed files, whose lines are compared with the submission. Home folders in it are not masked.
CONTENT_FIELDS = ("diff", "content", "oldString", "newString")
_TRUNCATION = re.compile(r"\n\[([0-9]+) bytes, SHA-256 ([0-9a-f]{64})\]\n\[truncated\]\Z")
_TRUNCATION_CHARACTERS = 200
_HUMAN_KINDS = frozenset({"prompt", "interrupt", "plan_decision", "session_start", "session_end"})
_SURROGATES = re.compile("[\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class EventSource(NamedTuple):
    """The channel that recorded an agent session, and the session's tool.

    tool -- for example `claude-code`, `codex` or `opencode`; None if unknown
    agent_session -- the tool's session id, or an id derived from the conversation
    """

    channel: str
    tool: str | None
    version: str | None
    agent_session: str


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event before it has an id and an envelope.

    kind, data -- see docs/candidate-client.md#5-events; if known, `data` includes `toolUseId` for a tool's events, and
        `requestId` for a model's response
    identity -- identifies the event within its agent session, together with `kind` and `index`: a tool use id, a
        response id, or a prompt's position in the conversation
    agent_id -- the subagent's id
    at -- time of the event; None means the time of arrival
    """

    kind: str
    data: dict[str, Any]
    identity: str
    index: int = 0
    agent_id: str | None = None
    at: datetime | None = None


class ResponseUsage(NamedTuple):
    """The model proxy's measurements of a response.

    request_id -- the provider's request id
    counts -- token counts, by the names in rules/metrics/usage.py
    """

    request_id: str | None
    model: str | None
    counts: Mapping[str, int]
    cost_nano_usd: int | None
    first_token_ms: int | None
    duration_ms: int


def envelope(event_source: EventSource, event: RecordedEvent, ids: dict[str, str]) -> dict[str, Any]:
    """Build the event's envelope, with masked secrets and home folders (R38).

    ids -- `id`, `sessionId` and `ts`
    """
    meta = field(event.data, "meta")
    meta = (meta if isinstance(meta, dict) else {}) | {"ideSessionId": event_source.agent_session}
    if event.agent_id is not None:
        meta["agentId"] = event.agent_id
    data = _mask_data(event.kind, {**event.data, "meta": meta})
    source = {"channel": event_source.channel, "tool": event_source.tool, "version": event_source.version}
    observability = "high" if event_source.channel == "proxy" else "medium"
    provenance = {"methods": [event_source.channel], "observability": observability}
    if event.kind in CHANGE_KINDS:
        provenance["attribution"] = "likely_ai"
    is_slash_command = event.kind == "tool_intent" and event.data.get("toolName") == "SlashCommand"
    is_human = event.kind in _HUMAN_KINDS or is_slash_command or event.data.get("human") is True
    return {
        **ids,
        "v": 1,
        "kind": label(event.kind) or "",
        "source": {name: masking.mask(label(value)) for name, value in source.items() if value is not None},
        "actor": {"type": "human" if is_human else "ai"},
        "provenance": provenance,
        "data": data,
    }


def _mask_data(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    names = CONTENT_FIELDS if kind in CHANGE_KINDS else ()
    contents = {name: data.pop(name) for name in names if name in data}
    return masking.mask(data) | masking.mask(contents, mask_string=masking.mask_text)


def event_time(time: datetime, nanoseconds: int) -> tuple[str, int]:
    """Add nanoseconds to a time. Returns an event's `ts`, and the nanoseconds since 1970."""
    time_ns = (time - _EPOCH) // _MICROSECOND * 1000 + nanoseconds
    seconds, fraction = divmod(time_ns, 10**9)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds").removesuffix("+00:00")
    digits = f"{fraction:09}"
    return f"{text}.{digits if nanoseconds else digits[:6].removesuffix('000')}Z", time_ns


def serialize_within_limit(envelope: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the envelope and its JSON. Above MAX_EVENT_BYTES, its long values are truncated.

    `data.original` is then the size in bytes and the SHA-256 of the complete data's JSON.
    """
    text, max_characters = serialize(envelope), MAX_EVENT_BYTES
    if _fits(text):
        return envelope, text
    data = envelope["data"]
    complete = serialize(data).encode()
    original = {"bytes": len(complete), "sha256": hashlib.sha256(complete).hexdigest()}
    while not _fits(text):
        max_characters //= 2
        data = {name: _truncate(value, max_characters) for name, value in data.items()}
        envelope = envelope | {"data": data | {"original": original}}
        text = serialize(envelope)
    return envelope, text


def truncation(content: bytes | memoryview) -> str:
    """Return the end of a text that is only the start of this content."""
    return f"\n[{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}]{TRUNCATED}"


def read_truncation(text: str) -> tuple[str, int] | None:
    """Return the SHA-256 and the size of a truncated text's content; None if it is complete."""
    match = _TRUNCATION.search(text, max(len(text) - _TRUNCATION_CHARACTERS, 0))
    return (match[2], int(match[1])) if match else None


def _fits(text: str) -> bool:
    return len(text) <= MAX_EVENT_BYTES and len(text.encode()) <= MAX_EVENT_BYTES


def _truncate(value: Any, max_characters: int) -> Any:
    """Truncate a long string, or the JSON of a long list or object."""
    if isinstance(value, dict | list):
        text = serialize(value)
        return value if len(text) <= max_characters else text[:max_characters] + TRUNCATED
    if isinstance(value, str) and len(value) > max_characters:
        match = _TRUNCATION.search(value, len(value) - _TRUNCATION_CHARACTERS)
        return value[:max_characters].removesuffix(TRUNCATED) + (match[0] if match else TRUNCATED)
    return value


def serialize(value: Any) -> str:
    """Serialize to JSON that a column can store. Surrogates are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value, separators=(",", ":")) if _SURROGATES.search(text) else text
