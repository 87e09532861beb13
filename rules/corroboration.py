"""Compare what several channels recorded about the same work (R36, docs/integrity.md#channels).

The differences are facts with an explanation, no verdicts: most have harmless causes.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rules.envelopes import integer, label, member, text
from rules.integrity import MAX_EVENT_IDS, Group
from rules.plain_text import single_spaced
from rules.usage import COUNTED, UsageReport, read_usage_report

# Codex in code mode runs a script of the model, which makes calls of its own with such ids.
_SCRIPTED, _SCRIPT_TOOL = "exec-", "exec"


class Sighting(NamedTuple):
    """What is compared of an event.

    channel -- None for the candidate's client
    result -- the command and the exit code of a tool's outcome, where they are known
    """

    event_id: str
    time_ns: int
    channel: str | None
    kind: str
    agent_session: str
    tool_use_id: str | None = None
    request_id: str | None = None
    tool: str | None = None
    prompt: str | None = None
    result: tuple[str | None, int | None] = (None, None)
    usage: UsageReport | None = None

    @classmethod
    def of(cls, event_id: str, time_ns: int, channel: str | None, envelope: Any) -> "Sighting":
        kind, data = text(member(envelope, "kind")) or "", member(envelope, "data")
        return cls(
            event_id,
            time_ns,
            channel,
            kind,
            text(member(data, "meta", "ideSessionId")) or "",
            text(member(data, "toolUseId")),
            text(member(data, "requestId")),
            label(member(data, "toolName")),
            _one_line(member(data, "text")) if kind == "prompt" else None,
            (_one_line(member(data, "command")), integer(member(data, "exitCode"))),
            read_usage_report(time_ns, kind, "", data),
        )


def differences(sightings: Iterable[Sighting], carried_requests: Collection[str]) -> Iterator[Group]:
    """The differences between the channels of a session.

    sightings -- all events of the channels, and the client's prompts, in the order of their time
    carried_requests -- ids of the provider's responses that the proxy forwarded, recorded or not
    """
    by_channel: dict[str | None, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        by_channel[sighting.channel].append(sighting)
    proxied, hooks = by_channel["proxy"], by_channel["http-hook"]
    others = [*hooks, *by_channel["otlp"]]
    yield _group("hooks_missing", _sessions_without_hooks(proxied, hooks))
    yield _group("call_not_proxied", _not_proxied(proxied, others, carried_requests))
    yield _group("result_differs", _different_results([*proxied, *others]))
    yield _group("usage_differs", _different_usage(proxied, others))
    if by_channel[None]:
        yield _group("prompt_not_reported", _not_reported(proxied, by_channel[None]))


def _group(code: str, found: Iterable[Sighting]) -> Group:
    ids = [sighting.event_id for sighting in found]
    return Group(code, ids[:MAX_EVENT_IDS], len(ids))


def _sessions_without_hooks(proxied: list[Sighting], hooks: list[Sighting]) -> Iterator[Sighting]:
    """The first event of each agent session that began after hooks had come, and sent none."""
    if not hooks:
        return
    hooked, first_hook_ns = {hook.agent_session for hook in hooks}, hooks[0].time_ns
    seen: set[str] = set()
    for sighting in proxied:
        is_first = sighting.agent_session not in seen
        seen.add(sighting.agent_session)
        if is_first and sighting.agent_session not in hooked and sighting.time_ns > first_hook_ns:
            yield sighting


def _not_proxied(
    proxied: list[Sighting], others: list[Sighting], carried_requests: Collection[str]
) -> Iterator[Sighting]:
    """Tool calls and responses that the proxy never carried."""
    calls = {sighting.tool_use_id for sighting in proxied}
    requests = {sighting.request_id for sighting in proxied} | set(carried_requests)
    scripted = {sighting.agent_session for sighting in proxied if sighting.tool == _SCRIPT_TOOL}
    reported: set[str] = set()
    for sighting in others:
        call = sighting.tool_use_id or sighting.request_id
        if call is None or call in reported or call in calls or call in requests:
            continue
        if call.startswith(_SCRIPTED) and sighting.agent_session in scripted:
            continue
        reported.add(call)
        yield sighting


def _different_results(sightings: list[Sighting]) -> Iterator[Sighting]:
    """The outcomes whose command or exit code differs from another channel's."""
    first: dict[str, Sighting] = {}
    for sighting in sightings:
        if sighting.tool_use_id is None or sighting.kind == "tool_intent":
            continue
        other = first.setdefault(sighting.tool_use_id, sighting)
        if other.channel != sighting.channel and _differ(other.result, sighting.result):
            yield sighting


def _different_usage(proxied: list[Sighting], others: list[Sighting]) -> Iterator[Sighting]:
    """The responses for which another channel reports other token counts than the provider did."""
    provider: dict[str | None, Mapping[str, int]] = {
        sighting.request_id: _counts(sighting) for sighting in proxied if sighting.request_id is not None
    }
    for sighting in others:
        counts = provider.get(sighting.request_id, {})
        reported = _counts(sighting)
        if any(reported[name] != counts[name] for name in counts.keys() & reported.keys()):
            yield sighting


def _not_reported(proxied: list[Sighting], client: list[Sighting]) -> Iterator[Sighting]:
    """The prompts that the proxy saw, but the candidate's client did not report."""
    reported = {sighting.prompt for sighting in client}
    return (sighting for sighting in proxied if sighting.prompt and sighting.prompt not in reported)


def _counts(sighting: Sighting) -> Mapping[str, int]:
    counts = sighting.usage.counts if sighting.usage else {}
    return {name: count for name, count in counts.items() if name in COUNTED}


def _differ(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return any(None not in pair and pair[0] != pair[1] for pair in zip(one, other, strict=True))


def _one_line(value: Any) -> str | None:
    """The text without differences in white space; None if it is not a text."""
    return single_spaced(value) if isinstance(value, str) else None
