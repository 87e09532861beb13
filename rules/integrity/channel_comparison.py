"""Compare the recordings of the same work by several channels (R36, docs/integrity.md#channels).

The differences are findings with an explanation, not verdicts: most have harmless causes.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rules.events.envelopes import field, integer, label, text
from rules.integrity.findings import MAX_EVENT_IDS, Group
from rules.metrics.usage import COUNTED, UsageReport, read_usage_report
from rules.plain_text import single_spaced

# Codex in code mode runs a script of the model, which makes calls of its own with such ids.
_SCRIPTED, _SCRIPT_TOOL = "exec-", "exec"


class ComparedEvent(NamedTuple):
    """The fields of an event that are compared.

    channel -- None for the candidate's client
    agent -- such as `claude-code`
    is_from_history -- whether the proxy saw the call only in the history of a later request
    result -- the command and the exit code of a tool's outcome, where they are known
    """

    event_id: str
    time_ns: int
    channel: str | None
    kind: str
    agent_session: str
    agent: str | None = None
    is_from_history: bool = False
    tool_use_id: str | None = None
    request_id: str | None = None
    tool: str | None = None
    prompt: str | None = None
    result: tuple[str | None, int | None] = (None, None)
    usage: UsageReport | None = None

    @classmethod
    def of(cls, event_id: str, time_ns: int, channel: str | None, envelope: Any) -> "ComparedEvent":
        kind, data = text(field(envelope, "kind")) or "", field(envelope, "data")
        return cls(
            event_id,
            time_ns,
            channel,
            kind,
            text(field(data, "meta", "ideSessionId")) or "",
            label(field(envelope, "source", "tool")),
            field(data, "fromHistory") is True,
            text(field(data, "toolUseId")),
            text(field(data, "requestId")),
            label(field(data, "toolName")),
            _one_line(field(data, "text")) if kind == "prompt" else None,
            (_one_line(field(data, "command")), integer(field(data, "exitCode"))),
            read_usage_report(time_ns, kind, "", data),
        )


def differences(
    events: Iterable[ComparedEvent], carried_requests: Collection[str], *, has_client: bool
) -> Iterator[Group]:
    """The differences between the channels of a session.

    events -- all events of the channels, and the client's prompts, in the order of their times
    carried_requests -- ids of the provider's responses that the proxy forwarded, recorded or not
    has_client -- whether the candidate's client has events: they count instead of the channels'
    """
    by_channel: dict[str | None, list[ComparedEvent]] = defaultdict(list)
    for event in events:
        by_channel[event.channel].append(event)
    proxied, hooks = by_channel["proxy"], by_channel["http-hook"]
    others = [*hooks, *by_channel["otlp"]]
    yield _group("hooks_missing", _sessions_without_hooks(proxied, hooks))
    yield _group("call_not_proxied", _not_proxied(proxied, others, carried_requests))
    yield _group("call_from_history", (event for event in proxied if event.is_from_history))
    yield _group("result_differs", _different_results([*proxied, *others]))
    yield _group("usage_differs", _different_usage(proxied, others))
    if has_client:
        reported = {event.prompt for event in by_channel[None]}
        prompts = (event for event in proxied if event.prompt and event.prompt not in reported)
        yield _group("prompt_not_reported", prompts)


def _group(code: str, found: Iterable[ComparedEvent]) -> Group:
    ids = [event.event_id for event in found]
    return Group(code, ids[:MAX_EVENT_IDS], len(ids))


def _sessions_without_hooks(
    proxied: list[ComparedEvent], hooks: list[ComparedEvent]
) -> Iterator[ComparedEvent]:
    """The first event of each agent session that started after the first hook of its agent, and sent none."""
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
    proxied: list[ComparedEvent], others: list[ComparedEvent], carried_requests: Collection[str]
) -> Iterator[ComparedEvent]:
    """Tool calls and responses that the proxy never carried."""
    calls = {event.tool_use_id for event in proxied}
    requests = {event.request_id for event in proxied} | set(carried_requests)
    scripted = {event.agent_session for event in proxied if event.tool == _SCRIPT_TOOL}
    reported: set[str] = set()
    for event in others:
        call = event.tool_use_id or event.request_id
        if call is None or call in reported or call in calls or call in requests:
            continue
        if call.startswith(_SCRIPTED) and event.agent_session in scripted:
            continue
        reported.add(call)
        yield event


def _different_results(events: list[ComparedEvent]) -> Iterator[ComparedEvent]:
    """The outcomes whose command or exit code differs from another channel's."""
    first: dict[str, ComparedEvent] = {}
    for event in events:
        if event.tool_use_id is None or event.kind == "tool_intent":
            continue
        other = first.setdefault(event.tool_use_id, event)
        if other.channel != event.channel and _differ(other.result, event.result):
            yield event


def _different_usage(proxied: list[ComparedEvent], others: list[ComparedEvent]) -> Iterator[ComparedEvent]:
    """The responses for which another channel reports other token counts than the provider did."""
    provider: dict[str | None, Mapping[str, int]] = {
        event.request_id: _counts(event) for event in proxied if event.request_id is not None
    }
    for event in others:
        counts = provider.get(event.request_id, {})
        reported = _counts(event)
        if any(reported[name] != counts[name] for name in counts.keys() & reported.keys()):
            yield event


def _counts(event: ComparedEvent) -> Mapping[str, int]:
    counts = event.usage.counts if event.usage else {}
    return {name: count for name, count in counts.items() if name in COUNTED}


def _differ(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return any(None not in pair and pair[0] != pair[1] for pair in zip(one, other, strict=True))


def _one_line(value: Any) -> str | None:
    """The text without differences in white space; None if it is not a text."""
    return single_spaced(value) if isinstance(value, str) else None
