"""An independent implementation of docs/metrics.md, except cost and tokens. It shares no code with `rules`."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor

from independent_commands import command_kind

TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHANGE_KINDS = ("file_diff", "file_create", "file_delete")
HUMAN = ("likely_human", "ai_revised_by_human")
ATTRIBUTIONS = ("likely_ai", "ai_revised_by_human", "likely_human", "mixed")
CHANNELS = ["proxy", "http-hook", "otlp"]
RESPONSES = {"ai_response", "subagent_usage"}
USAGE = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens")
BILLION = 10**9
COLUMNS = {
    "durationMs": "duration_ms",
    "promptCount": "prompt_count",
    "commandFailRate": "command_fail_rate",
    "verifyIntensity": "verify_intensity",
    "manualEditRatio": "manual_edit_ratio",
    "firstChangeLatencyMs": "first_change_latency_ms",
}


def recompute(envelopes):
    """Compute a session's metrics from its events, without a submitted test result.

    Times are in milliseconds and ratios in billionths; `aiAttributionPct` is a Fraction.
    """
    events = sorted(envelopes, key=order)
    commands = without_editor([event for event in events if event["kind"] == "command"])
    changes = without_editor([event for event in events if event["kind"] in CHANGE_KINDS])
    test_runs = of_kind(events, "test_run")

    paths = [data(event).get("path") for event in changes]
    names = [object_field(event, "provenance").get("attribution") for event in changes]
    known = [name for name in names if name in ATTRIBUTIONS]
    kinds = [command_kind(data(event).get("command")) for event in commands]
    test_commands = [event for event, kind in zip(commands, kinds, strict=True) if kind == "test"]
    verifications = len(test_runs) + len(of_kind(events, "build_run")) + len(list(filter(None, kinds)))
    codes = [exit_code(event) for event in commands if exit_code(event) is not None]
    recorded = [event for event in commands if object_field(event, "source").get("channel") in CHANNELS]
    knows_codes = not recorded or len(codes) >= len(commands) / 2
    # Consecutive failures are one episode.
    outcomes = "".join(outcome(event) for event in sorted(commands + test_runs, key=order))
    return {
        "durationMs": milliseconds_between(events[0], events[-1]) if len(events) >= 2 else None,
        "firstChangeLatencyMs": milliseconds_between(events[0], changes[0]) if changes else None,
        "promptCount": len(of_kind(events, "prompt")),
        "decisionCount": len(of_kind(events, "decision_event")),
        "fileChangeCount": len(changes),
        "uniqueFilesTouched": len({path for path in paths if isinstance(path, str)}),
        "manualEditRatio": billionths(len([name for name in known if name in HUMAN]), len(known)),
        "aiAttributionPct": percent(known.count("likely_ai"), len(known)),
        "verifyIntensity": billionths(verifications, len(changes)),
        "testRunCount": len(test_runs) + len(test_commands),
        "testsPassed": tests_passed(test_runs, test_commands if knows_codes else []),
        "commandCount": len(commands),
        "commandFailRate": billionths(len(codes) - codes.count(0), len(codes)) if knows_codes else None,
        "errorEpisodes": len(re.findall("F+", outcomes)),
        "knownExitCodeCount": len(codes),
        "attributedChangeCount": len(known),
        "eventCount": len(events),
        "toolUsage": tool_usage(events),
    }


def select_counted(stored):
    """Return the envelopes that count (R36) from (channel, envelope) pairs; the client's channel is None.

    Does not support scripts of Codex's code mode.
    """
    from_client = [envelope for channel, envelope in stored if channel is None]
    if from_client:
        return from_client
    rows = sorted((row for row in stored if row[1]["kind"] != "context"), key=lambda row: order(row[1]))
    rows = [(channel, envelope) for channel, envelope in rows if not is_ended_elsewhere(envelope, rows)]
    rows = [(channel, envelope) for channel, envelope in rows if not starts_subagent(envelope, rows)]
    return [envelope for channel, envelope in rows if not is_repeated(channel, envelope, rows)]


def is_ended_elsewhere(envelope, rows):
    """Return whether a command has no exit code, but another event of the same call has one."""
    if envelope["kind"] != "command" or object_field(envelope, "source").get("tool") not in (
        "codex",
        "opencode",
    ):
        return False
    ended = [
        other
        for _, other in rows
        if other["kind"] == "command" and exit_code(other) is not None and is_same_call(envelope, other)
    ]
    return exit_code(envelope) is None and ended != []


def starts_subagent(envelope, rows):
    """Return whether Codex reports a subagent's start or task as a session's start or prompt."""
    if envelope["kind"] not in ("prompt", "session_start") or not is_codex(envelope):
        return False
    codex = [other for _, other in rows if is_codex(other)]
    subagents = {data(other).get("agentId") for other in codex if other["kind"] == "task_dispatch"}
    subagents |= {data(other)["meta"].get("agentId") for other in codex if other["kind"] in RESPONSES}
    return data(envelope)["meta"]["ideSessionId"] in subagents


def is_codex(envelope):
    return object_field(envelope, "source").get("tool") == "codex"


def is_repeated(channel, envelope, rows):
    preferred = [
        [other for other_channel, other in rows if other_channel == name]
        for name in CHANNELS[: CHANNELS.index(channel)]
    ]
    if any(is_same_call(envelope, other) for others in preferred for other in others):
        return True
    # The nth prompt or usage is a duplicate if a preferred channel has n of them.
    earlier = [other for name, other in rows if name == channel and order(other) < order(envelope)]
    number = len([other for other in earlier if is_equal(envelope, other)])
    return any(len([other for other in others if is_equal(envelope, other)]) > number for others in preferred)


def is_same_call(one, other):
    kinds = {one["kind"], other["kind"]}
    if kinds == {"prompt"}:
        return False
    if kinds <= RESPONSES:
        has_text = have_equal("lastAssistantMessage", one, other)
        return have_equal("requestId", one, other) or (is_same_agent(one, other) and has_text)
    if kinds in ({"session_start"}, {"session_end"}):
        return is_same_agent(one, other)
    is_same_step = len(kinds) == 1 or not kinds & {"tool_intent", "permission_decision"}
    return is_same_step and have_equal("toolUseId", one, other)


def is_equal(one, other):
    """Return whether two prompts, or the token counts of two responses of Codex, are equal. They can repeat."""
    kinds = {one["kind"], other["kind"]}
    if kinds == {"prompt"}:
        return is_same_agent(one, other) and have_equal("text", one, other)
    if not kinds <= RESPONSES or not is_codex(one) or not is_codex(other):
        return False
    agents = [
        data(event)["meta"].get("agentId", data(event)["meta"]["ideSessionId"]) for event in (one, other)
    ]
    counts = [[data(event).get(name) or 0 for name in USAGE] for event in (one, other)]
    return agents[0] == agents[1] and counts[0] == counts[1] and any(counts[0])


def is_same_agent(one, other):
    return data(one)["meta"]["ideSessionId"] == data(other)["meta"]["ideSessionId"]


def have_equal(name, one, other):
    values = [" ".join((data(event).get(name) or "").split()) for event in (one, other)]
    return values[0] == values[1] != ""


def half_up(value):
    return floor(value + Fraction(1, 2))


def nanoseconds(text):
    """Return an event's `ts` in nanoseconds since 1970."""
    match = TIME.fullmatch(text)
    if not match:
        raise ValueError(f"not a time: {text!r}")
    day, clock, fraction, sign, hours, minutes = match.groups()
    elapsed = datetime.fromisoformat(f"{day}T{clock}+00:00") - EPOCH
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        elapsed = elapsed - offset if sign == "+" else elapsed + offset
    return (elapsed.days * 86_400 + elapsed.seconds) * BILLION + int((fraction or "0").ljust(9, "0"))


def milliseconds_between(first, last):
    return half_up(Fraction(nanoseconds(last["ts"]) - nanoseconds(first["ts"]), 10**6))


def billionths(part, total):
    return half_up(Fraction(part, total) * BILLION) if total else 0


def percent(part, total):
    return Fraction(half_up(Fraction(part, total) * 1000), 10) if total else None


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def order(event):
    return nanoseconds(event["ts"]), event["id"]


def object_field(event, name):
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def data(event):
    return object_field(event, "data")


def source_name(event):
    source = event.get("source")
    if isinstance(source, dict):
        names = [source.get(field) for field in ("integration", "emitter", "channel")]
        return next((name for name in names if isinstance(name, str)), None)
    return source if isinstance(source, str) else None


def exit_code(event):
    """Return a command's exit code, or None if it is unknown, as in Claude Code's hooks."""
    code = data(event).get("exitCode")
    methods = object_field(event, "provenance").get("methods")
    is_from_hook = source_name(event) == "claude-code" and isinstance(methods, list) and "hook" in methods
    return code if is_integer(code) and not is_from_hook else None


def has_counts(event):
    return is_integer(data(event).get("passed")) and is_integer(data(event).get("failed"))


def outcome(event):
    """Return F for a failure, P for a success, or an empty string if unknown."""
    if event["kind"] == "command":
        code = exit_code(event)
        return "" if code is None else "PF"[code != 0]
    return "PF"[data(event)["failed"] > 0] if has_counts(event) else ""


def of_kind(events, kind):
    return [event for event in events if event["kind"] == kind]


def without_editor(events):
    """Return the events from channels other than the editor extension, or all events if there are none."""
    others = [event for event in events if object_field(event, "source").get("channel") != "ide-extension"]
    return others or events


def tests_passed(test_runs, test_commands):
    counts = [data(event) for event in test_runs if has_counts(event)]
    if counts:
        return counts[-1]["failed"] == 0 and counts[-1]["passed"] > 0
    codes = [exit_code(event) for event in test_commands if exit_code(event) is not None]
    return codes[-1] == 0 if codes else None


def tool_source(event):
    source = event.get("source")
    is_recorded = isinstance(source, dict) and source.get("channel") in CHANNELS
    return source.get("tool") if is_recorded else source_name(event)


def continues_command(event):
    """Return whether a channel recorded Codex's wait for a running command."""
    return is_codex(event) and data(event).get("toolName") == "write_stdin"


def tool_usage(events):
    sources_with_intents = {tool_source(event) for event in of_kind(events, "tool_intent")}
    usage = {}
    for event in events:
        field = {"tool_intent": "toolName", "tool_use": "toolName", "mcp_call": "tool"}.get(event["kind"])
        has_intent = event["kind"] != "tool_intent" and tool_source(event) in sources_with_intents
        name = None if has_intent or continues_command(event) else data(event).get(field)
        if isinstance(name, str):
            usage[name] = usage.get(name, 0) + 1
    return usage


def columns(metrics):
    """Convert a result of `recompute` to database columns."""
    counts = {
        "tests_passed": metrics["testsPassed"],
        "event_count": metrics["eventCount"],
        "known_exit_code_count": metrics["knownExitCodeCount"],
        "file_change_count": metrics["fileChangeCount"],
        "attributed_change_count": metrics["attributedChangeCount"],
    }
    return {column: metrics[name] for name, column in COLUMNS.items()} | counts
