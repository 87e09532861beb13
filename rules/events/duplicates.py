"""Find duplicates: a call recorded by several channels counts once (R36, docs/metrics.md#channels)."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from rules.events.envelopes import INT64, field, integer, label, text
from rules.events.recorded_events import CHANNELS
from rules.plain_text import collapse_whitespace

# The source of an unknown tool's calls.
RECORDED = "recorded"
_RESPONSES = frozenset({"ai_response", "subagent_usage"})
_USAGE = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens")
_CODEX = "codex"
# Some channels do not receive the exit codes of these tools.
_WITHOUT_EXIT_CODES = frozenset({_CODEX, "opencode"})
_EXIT, _NO_EXIT = "exit:", "no-exit:"
_SESSION_BOUNDARIES = frozenset({"session_start", "session_end"})
# Key prefixes for a call's events before its outcome.
_BEFORE_OUTCOME = {"tool_intent": "intent", "permission_decision": "decision"}
_REPEATABLE = ("prompt:", "usage:", "inner:", "inner-exit:")
# Codex's telemetry reports each subagent as a separate session. These keys link it to its parent.
_START, SUBAGENT = "start:", "subagent:"
_DIGEST_CHARACTERS = 24

Row = tuple[int, list[str]]  # an event's arrival number and its keys


class ChannelEvent(NamedTuple):
    """An event recorded by a channel: arrival number, channel and `joins` column."""

    seq: int
    channel: str
    joins: str | None


def columns(envelope: Any) -> dict[str, str | None]:
    """Return the columns that only channels' events use. Without an envelope (a client's event), they are None."""
    agent_session = label(field(envelope, "data", "meta", "ideSessionId"))
    return {"agent_session": agent_session, "joins": join_keys(envelope)}


def join_keys(envelope: Any) -> str | None:
    """Return an event's keys, separated by spaces; None if no other channel can record the event.

    The keys are stored with the event, so this function must always return the same keys for an envelope.
    """
    kind, data = text(field(envelope, "kind")) or "", field(envelope, "data")
    agent_session = text(field(data, "meta", "ideSessionId")) or ""
    keys, tool = [*_keys(kind, data, agent_session)], text(field(envelope, "source", "tool"))
    if tool == _CODEX:
        keys += _codex_keys(kind, data, agent_session)
    if kind == "command" and tool in _WITHOUT_EXIT_CODES:
        keys += _command_keys(data, agent_session)
    return " ".join(keys) or None


def running_key(agent_session: str, process_id: int) -> str:
    """Return the key of the event that started a running command."""
    return _key("running", agent_session, str(process_id))


def call_key(joins: str | None) -> str | None:
    """Return a key that the events of one tool call share, from their `joins`; None for other events."""
    prefix, _, digest = (joins or "").partition(" ")[0].partition(":")
    return digest if prefix in (*_BEFORE_OUTCOME.values(), "outcome") else None


def _command_keys(data: Any, agent_session: str) -> Iterator[str]:
    has_exit_code = integer(field(data, "exitCode")) is not None
    if tool_use_id := text(field(data, "toolUseId")):
        yield _key("exit" if has_exit_code else "no-exit", tool_use_id)
    if (process_id := integer(field(data, "processId"), INT64)) is not None:
        yield running_key(agent_session, process_id)


def subagent_key(agent_id: str) -> str:
    """Return the key for events that reference a Codex subagent."""
    return _key("subagent", agent_id)


def _keys(kind: str, data: Any, agent_session: str) -> Iterator[str]:
    if kind == "prompt":
        if prompt := _normalized(without_images(field(data, "text"))):
            yield _key("prompt", agent_session, prompt)
    elif kind in _RESPONSES:
        if request_id := text(field(data, "requestId")):
            yield _key("request", request_id)
        if response := _normalized(field(data, "lastAssistantMessage")):
            yield _key("response", agent_session, response)
    elif kind in _SESSION_BOUNDARIES:
        yield _key(kind, agent_session)
    elif tool_use_id := text(field(data, "toolUseId")):
        yield _key(_BEFORE_OUTCOME.get(kind, "outcome"), tool_use_id)
        # True for calls made by a Codex code mode script. All channels except the proxy receive their ids.
        is_inner = tool_use_id.startswith("exec-") or text(field(data, "parentToolUseId")) is not None
        if is_inner and kind not in _BEFORE_OUTCOME:
            content = _normalized(field(data, "command")) or _normalized(field(data, "path"))
            yield _key("inner", agent_session, kind, content)
            # The same command can fail first and then pass, and the proxy may have only one of the two.
            if (exit_code := integer(field(data, "exitCode"))) is not None:
                yield _key("inner-exit", agent_session, content, str(exit_code))


def _codex_keys(kind: str, data: Any, agent_session: str) -> Iterator[str]:
    """Yield additional keys for Codex: its telemetry identifies neither responses nor subagents."""
    agent_id = text(field(data, "meta", "agentId"))
    if kind in _RESPONSES:
        counts = [integer(field(data, name)) for name in _USAGE]
        if any(count is not None for count in counts):
            yield _key("usage", agent_id or agent_session, *(str(count or 0) for count in counts))
    if kind in ("prompt", "session_start"):
        yield _key("start", agent_session)
    started = text(field(data, "agentId")) if kind == "task_dispatch" else None
    if subagent := started or (agent_id if kind in _RESPONSES else None):
        yield subagent_key(subagent)


def without_images(prompt: Any) -> Any:
    """Return a prompt's text without its images' placeholders: only the proxy sees the images."""
    return prompt.replace("[image]", "").strip() or prompt if isinstance(prompt, str) else prompt


def _normalized(value: Any) -> str:
    """Normalize whitespace, which differs between channels."""
    return collapse_whitespace(text(value) or "")


def _key(kind: str, *parts: str) -> str:
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}:{digest[:_DIGEST_CHARACTERS]}"


def find_superseded(events: Iterable[ChannelEvent]) -> set[int]:
    """Return the arrival numbers of events that a better channel also recorded.

    An event is superseded if a better channel recorded an event with the same key. Prompts, usage and a script's calls
    can repeat, so each event from a better channel supersedes only one of them, in order. The prompt and start of a
    subagent's session are always superseded, because no person wrote the prompt. So is a command without an exit code
    if any channel recorded the exit code.

    events -- ordered by time
    """
    rows = [(event.seq, event.channel, (text(event.joins) or "").split()) for event in events]
    exits = {key.removeprefix(_EXIT) for *_, keys in rows for key in keys if key.startswith(_EXIT)}
    by_channel: dict[str, list[Row]] = {channel: [] for channel in CHANNELS}
    result: set[int] = set()
    for seq, channel, keys in rows:
        if any(key.startswith(_NO_EXIT) and key.removeprefix(_NO_EXIT) in exits for key in keys):
            result.add(seq)
        elif channel in by_channel:
            by_channel[channel].append((seq, keys))
    result.update(_subagent_starts(by_channel))
    better: Counter[str] = Counter()
    for channel in CHANNELS:
        counts: Counter[str] = Counter()
        for seq, keys in by_channel[channel]:
            if better and any(_is_covered(key, counts, better) for key in _compared(keys)):
                result.add(seq)
            counts.update(keys)
        better |= counts
    return result


def _subagent_starts(by_channel: Mapping[str, list[Row]]) -> Iterator[int]:
    """Yield the prompts and starts of subagents' sessions. The best channel never reports them."""
    rows = chain.from_iterable(by_channel.values())
    subagents = {key for _, keys in rows for key in keys if key.startswith(SUBAGENT)}
    for seq, keys in chain.from_iterable(by_channel[channel] for channel in CHANNELS[1:]):
        starts = (key for key in keys if key.startswith(_START))
        if any(SUBAGENT + key.removeprefix(_START) in subagents for key in starts):
            yield seq


def _compared(keys: list[str]) -> list[str]:
    """Leave out the key without the exit code if there is one with it."""
    has_exit_code = any(key.startswith("inner-exit:") for key in keys)
    return [key for key in keys if not key.startswith("inner:")] if has_exit_code else keys


def _is_covered(key: str, counts: Counter[str], better: Counter[str]) -> bool:
    if key.startswith((SUBAGENT, _START)):
        return False
    return better[key] > (counts[key] if key.startswith(_REPEATABLE) else 0)


def tool_source(source: Any) -> str | None:
    """Return the tool that a channel's event is from, or RECORDED if unknown; None for a client's event."""
    if field(source, "channel") not in CHANNELS:
        return None
    return label(field(source, "tool")) or RECORDED
