"""Duplicates: events of several channels about the same call, which counts once (R36, docs/metrics.md#channels)."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from rules.events.envelopes import field, integer, label, text
from rules.events.recorded_events import CHANNELS
from rules.plain_text import single_spaced

# The source of calls by an unknown tool, from any channel.
RECORDED = "recorded"
_RESPONSES = frozenset({"ai_response", "subagent_usage"})
_USAGE = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens")
_CODEX = "codex"
_ONCE_A_SESSION = frozenset({"session_start", "session_end"})
# The parts of a call that are events in addition to its outcome.
_PARTS_OF_A_CALL = {"tool_intent": "intent", "permission_decision": "decision"}
_REPEATABLE = ("prompt:", "usage:", "inner:")
# The start of an agent session, and a subagent by name: its telemetry has a session of its own. Neither joins calls.
_START, SUBAGENT = "start:", "subagent:"
_DIGEST_CHARACTERS = 24


# An event's number and its keys.
Row = tuple[int, list[str]]


class ChannelEvent(NamedTuple):
    """An event of a channel: its arrival number, its channel and the column `joins`."""

    seq: int
    channel: str
    joins: str | None


def columns(envelope: Any) -> dict[str, str | None]:
    """The columns that only events of channels have; their values are None without an envelope."""
    agent_session = label(field(envelope, "data", "meta", "ideSessionId"))
    return {"agent_session": agent_session, "joins": joins(envelope)}


def joins(envelope: Any) -> str | None:
    """The keys of an event of a channel, separated by blanks; None if no other channel can have the event.

    The keys are stored with the event: the same envelope must always have the same keys.
    """
    kind, data = text(field(envelope, "kind")) or "", field(envelope, "data")
    agent_session = text(field(data, "meta", "ideSessionId")) or ""
    keys = [*_keys(kind, data, agent_session)]
    if field(envelope, "source", "tool") == _CODEX:
        keys += _codex_keys(kind, data, agent_session)
    return " ".join(keys) or None


def subagent_key(agent_id: str) -> str:
    """The key of the events that name a subagent of Codex, whose telemetry has it as a session of its own."""
    return _key("subagent", agent_id)


def _keys(kind: str, data: Any, agent_session: str) -> Iterator[str]:
    if kind == "prompt":
        if prompt := _normalized(field(data, "text")):
            yield _key("prompt", agent_session, prompt)
    elif kind in _RESPONSES:
        if request_id := text(field(data, "requestId")):
            yield _key("request", request_id)
        if response := _normalized(field(data, "lastAssistantMessage")):
            yield _key("response", agent_session, response)
    elif kind in _ONCE_A_SESSION:
        yield _key(kind, agent_session)
    elif tool_use_id := text(field(data, "toolUseId")):
        yield _key(_PARTS_OF_A_CALL.get(kind, "outcome"), tool_use_id)
        if kind not in _PARTS_OF_A_CALL and _is_inner(data, tool_use_id):
            content = _normalized(field(data, "command")) or _normalized(field(data, "path"))
            yield _key("inner", agent_session, kind, content)


def _is_inner(data: Any, tool_use_id: str) -> bool:
    """Return whether a script of Codex's code mode made the call. The proxy does not see its id; other channels do."""
    return tool_use_id.startswith("exec-") or text(field(data, "parentToolUseId")) is not None


def _codex_keys(kind: str, data: Any, agent_session: str) -> Iterator[str]:
    """The keys that Codex needs: its telemetry identifies neither the response of a usage nor subagents."""
    agent_id = text(field(data, "meta", "agentId"))
    if kind in _RESPONSES:
        yield from _usage_keys(data, agent_id or agent_session)
    if kind in ("prompt", "session_start"):
        yield _key("start", agent_session)
    started = text(field(data, "agentId")) if kind == "task_dispatch" else None
    if subagent := started or (agent_id if kind in _RESPONSES else None):
        yield subagent_key(subagent)


def _usage_keys(data: Any, agent_session: str) -> Iterator[str]:
    counts = [integer(field(data, name)) for name in _USAGE]
    if any(count is not None for count in counts):
        yield _key("usage", agent_session, *(str(count or 0) for count in counts))


def _normalized(value: Any) -> str:
    """The text without the differences in white space between channels."""
    return single_spaced(text(value) or "")


def _key(kind: str, *parts: str) -> str:
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}:{digest[:_DIGEST_CHARACTERS]}"


def superseded(events: Iterable[ChannelEvent]) -> set[int]:
    """The numbers of the events that a better channel has too.

    An event with a key of a better channel is superseded. A prompt, a usage and a script's call can be repeated: of
    these, as many are superseded, in order, as a better channel has. Events of one channel do not supersede each other.
    The prompt and the start of a session that an event names as a subagent are superseded: no person wrote it.

    events -- in the order of their times
    """
    by_channel: dict[str, list[Row]] = {channel: [] for channel in CHANNELS}
    for event in events:
        if event.channel in by_channel:
            by_channel[event.channel].append((event.seq, (text(event.joins) or "").split()))
    found = set(_starts_of_subagents(by_channel))
    better: Counter[str] = Counter()
    for channel in CHANNELS:
        counts: Counter[str] = Counter()
        for seq, keys in by_channel[channel]:
            if better and any(_is_covered(key, counts, better) for key in keys):
                found.add(seq)
            counts.update(keys)
        better |= counts
    return found


def _starts_of_subagents(by_channel: Mapping[str, list[Row]]) -> Iterator[int]:
    """The prompts and starts of subagents' own sessions. The best channel has none: nothing supersedes it."""
    rows = chain.from_iterable(by_channel.values())
    subagents = {key for _, keys in rows for key in keys if key.startswith(SUBAGENT)}
    for seq, keys in chain.from_iterable(by_channel[channel] for channel in CHANNELS[1:]):
        starts = (key for key in keys if key.startswith(_START))
        if any(SUBAGENT + key.removeprefix(_START) in subagents for key in starts):
            yield seq


def _is_covered(key: str, counts: Counter[str], better: Counter[str]) -> bool:
    if key.startswith((SUBAGENT, _START)):
        return False
    return better[key] > (counts[key] if key.startswith(_REPEATABLE) else 0)


def tool_source(source: Any) -> str | None:
    """The tool of an event of a channel, or RECORDED if it is not known; None for the client's."""
    if field(source, "channel") not in CHANNELS:
        return None
    return label(field(source, "tool")) or RECORDED
