"""Compare recordings of the same session from several channels (R36, docs/integrity.md#findings)."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rules.events.duplicates import without_images
from rules.events.envelopes import field, integer, label, text
from rules.events.masking import mask_home
from rules.events.recorded_events import CONTEXT
from rules.integrity.findings import MAX_EVENT_IDS, Finding
from rules.metrics.usage import COUNTED, UsageReport, read_usage_report
from rules.plain_text import collapse_whitespace

# In code mode, Codex runs scripts written by the model with this tool. Ids of the scripts' calls have this prefix.
_SCRIPT_TOOL, _SCRIPT_CALL_PREFIX = "exec", "exec-"
# Types of `context` events with a message or call of the model.
_MESSAGES = ("text", "tool_use", "compaction")


class ComparedEvent(NamedTuple):
    """The fields of an event that are compared.

    channel -- None for the candidate's client
    agent -- for example `claude-code`
    prompt -- a hash of its text
    result -- hash of the command, and exit code of a tool call, each None if unknown
    """

    event_id: str
    time_ns: int
    channel: str | None
    kind: str
    agent_session: str
    agent: str | None = None
    tool_use_id: str | None = None
    request_id: str | None = None
    tool: str | None = None
    prompt: bytes | None = None
    result: tuple[bytes | None, int | None] = (None, None)
    usage: UsageReport | None = None

    @classmethod
    def from_envelope(
        cls, event_id: str, time_ns: int, channel: str | None, envelope: Any
    ) -> "ComparedEvent":
        kind, data = text(field(envelope, "kind")) or "", field(envelope, "data")
        # The model's tool result shows such an exit code as success (rules/agents/claude_code/calls.py).
        exit_code = None if field(data, "interpretation") else integer(field(data, "exitCode"))
        return cls(
            event_id,
            time_ns,
            channel,
            kind,
            text(field(data, "meta", "ideSessionId")) or "",
            label(field(envelope, "source", "tool")),
            text(field(data, "toolUseId")),
            text(field(data, "requestId")),
            label(field(data, "toolName")),
            _hash_normalized(without_images(field(data, "text"))) if kind == "prompt" else None,
            (_hash_normalized(field(data, "command")), exit_code),
            read_usage_report(time_ns, kind, "", data),
        )


def differences(
    events: Iterable[ComparedEvent], proxied_requests: Collection[str], *, has_client: bool
) -> Iterator[Finding]:
    """Yield the differences between a session's channels.

    events -- events from all channels, and the client's prompts, ordered by time
    proxied_requests -- ids of responses that the proxy forwarded, recorded or not
    has_client -- whether the candidate's client sent events, which replace the channels' events in the metrics
    """
    by_channel: dict[str | None, list[ComparedEvent]] = defaultdict(list)
    for event in events:
        by_channel[event.channel].append(event)
    proxied, hooks = by_channel["proxy"], by_channel["http-hook"]
    local_events = [*hooks, *by_channel["otlp"]]
    differing: dict[str, Iterable[ComparedEvent]] = {
        "hooks_missing": _sessions_without_hooks(proxied, hooks),
        "call_not_proxied": _not_proxied(proxied, local_events, proxied_requests),
        "result_differs": _different_results([*proxied, *local_events]),
        "usage_differs": _different_usage(proxied, local_events),
    }
    if has_client:
        reported = {event.prompt for event in by_channel[None]}
        differing["prompt_not_reported"] = (
            event for event in proxied if event.prompt and event.prompt not in reported
        )
    for code, affected in differing.items():
        if ids := [event.event_id for event in affected]:
            yield Finding(code, ids[:MAX_EVENT_IDS], len(ids))


class RewrittenMessages:
    """The model's messages that a request's history contains, but no recorded response (R46).

    An interrupted response can be recorded later than the next request, and can be longer than in its history. Only
    hashes are kept: a candidate can send half a gigabyte of such messages.
    """

    def __init__(self) -> None:
        self._event_ids: dict[str, None] = {}
        self._by_call: dict[str, list[str]] = defaultdict(list)
        self._by_hash: dict[bytes, list[str]] = defaultdict(list)
        self._lengths: set[int] = set()

    def add(self, event_id: str, kind: str, data: Any) -> None:
        """Add an event of the proxy, before any call to `discard`."""
        if not self._is_unknown(kind, data):
            return
        self._event_ids[event_id] = None
        if call_id := text(field(data, "callId")):
            self._by_call[call_id].append(event_id)
        else:
            message = _normalize(field(data, "text")) or ""
            self._by_hash[_hash(message).digest()].append(event_id)
            self._lengths.add(len(message))

    def discard(self, kind: str, data: Any) -> None:
        """Remove the messages that this event of the proxy contains."""
        if field(data, "fromHistory") is True:
            return
        if call_id := text(field(data, "toolUseId")):
            self._discard(self._by_call.pop(call_id, ()))
        answer = _normalize(field(data, "lastAssistantMessage")) or ""
        if kind == CONTEXT and field(data, "role") == "assistant":
            answer = _normalize(field(data, "text")) or ""
        lengths = [length for length in self._lengths if length <= len(answer)] if answer else []
        start, hashed = 0, _hash("")
        for length in sorted(lengths):
            hashed.update(_encode(answer[start:length]))
            start = length
            self._discard(self._by_hash.pop(hashed.digest(), ()))

    def _discard(self, event_ids: Iterable[str]) -> None:
        for event_id in event_ids:
            del self._event_ids[event_id]

    def __len__(self) -> int:
        return len(self._event_ids)

    def findings(self) -> Iterator[Finding]:
        ids = list(self._event_ids)
        if ids:
            yield Finding("history_rewritten", ids[:MAX_EVENT_IDS], len(ids))

    @staticmethod
    def _is_unknown(kind: str, data: Any) -> bool:
        is_history = kind == CONTEXT and field(data, "fromHistory") is True
        return is_history and field(data, "role") == "assistant" and field(data, "type") in _MESSAGES


def _hash(message: str) -> Any:
    return hashlib.sha256(_encode(message))


def _hash_normalized(value: Any) -> bytes | None:
    """Return the hash of a text, or None if it is empty."""
    normalized = _normalize(value)
    return _hash(normalized).digest() if normalized else None


def _encode(message: str) -> bytes:
    return message.encode("utf-8", "surrogatepass")


def _sessions_without_hooks(
    proxied: list[ComparedEvent], hooks: list[ComparedEvent]
) -> Iterator[ComparedEvent]:
    """Yield the first event of each agent session that started after its agent's first hook but sent no hooks."""
    hooked = {hook.agent_session for hook in hooks}
    first_hook_ns: dict[str | None, int] = {}
    for hook in hooks:
        first_hook_ns.setdefault(hook.agent, hook.time_ns)
    seen: set[str] = set()
    for event in proxied:
        is_first = event.agent_session not in seen
        seen.add(event.agent_session)
        started_after = event.time_ns > first_hook_ns.get(event.agent, event.time_ns)
        if is_first and started_after and event.agent_session not in hooked:
            yield event


def _not_proxied(
    proxied: list[ComparedEvent], local_events: list[ComparedEvent], proxied_requests: Collection[str]
) -> Iterator[ComparedEvent]:
    """Yield tool calls and responses that did not pass through the proxy."""
    calls = {event.tool_use_id for event in proxied}
    requests = {event.request_id for event in proxied} | set(proxied_requests)
    scripted = {event.agent_session for event in proxied if event.tool == _SCRIPT_TOOL}
    reported: set[str] = set()
    for event in local_events:
        call = event.tool_use_id or event.request_id
        if call is None or call in reported or call in calls or call in requests:
            continue
        if call.startswith(_SCRIPT_CALL_PREFIX) and event.agent_session in scripted:
            continue
        reported.add(call)
        yield event


def _different_results(events: list[ComparedEvent]) -> Iterator[ComparedEvent]:
    """Yield tool calls with a command or exit code that differs between channels or agent sessions."""
    first: dict[str, ComparedEvent] = {}
    for event in events:
        if event.tool_use_id is None or event.kind == "tool_intent":
            continue
        other = first.setdefault(event.tool_use_id, event)
        if other.result[1] is None and event.result[1] is not None:
            first[event.tool_use_id] = event  # A command that was still running has no exit code.
        pairs = zip(other.result, event.result, strict=True)
        is_other = (other.channel, other.agent_session) != (event.channel, event.agent_session)
        if is_other and any(None not in pair and pair[0] != pair[1] for pair in pairs):
            yield event


def _different_usage(
    proxied: list[ComparedEvent], local_events: list[ComparedEvent]
) -> Iterator[ComparedEvent]:
    """Yield responses with token counts that differ from the provider's."""
    by_request: dict[str | None, Mapping[str, int]] = {
        event.request_id: _counts(event) for event in proxied if event.request_id is not None
    }
    for event in local_events:
        expected, reported = by_request.get(event.request_id, {}), _counts(event)
        if any(reported[name] != expected[name] for name in expected.keys() & reported.keys()):
            yield event


def _counts(event: ComparedEvent) -> Mapping[str, int]:
    counts = event.usage.counts if event.usage else {}
    return {name: count for name, count in counts.items() if name in COUNTED}


def _normalize(value: Any) -> str | None:
    """Normalize whitespace, which differs between channels, and home folders, which the client does not mask.

    Returns None for values that are not strings.
    """
    return mask_home(collapse_whitespace(value)) if isinstance(value, str) else None
