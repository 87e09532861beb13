"""A second implementation of docs/metrics.md and of R19 to R21.

It shares nothing with `rules`: tests compare the two. Names are those of docs/metrics.md. It leaves out cost and
tokens.
"""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor

import independent_cohorts
from independent_commands import command_kind

TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CHANGE_KINDS = ("file_diff", "file_create", "file_delete")
BY_HAND = ("likely_human", "ai_revised_by_human")
ATTRIBUTIONS = ("likely_ai", "ai_revised_by_human", "likely_human", "mixed")

BILLION = 10**9
NANOSECONDS_PER_MILLISECOND = 10**6

COLUMNS = {
    "durationMs": "duration_ms",
    "promptCount": "prompt_count",
    "commandFailRate": "command_fail_rate",
    "verifyIntensity": "verify_intensity",
    "manualEditRatio": "manual_edit_ratio",
    "firstChangeLatencyMs": "first_change_latency_ms",
}


def recompute(envelopes: list[dict]) -> dict:
    """The metrics of a session's events in any order, without a submitted test result.

    Times are integers of milliseconds, ratios integers of billionths, `aiAttributionPct` is a Fraction.
    """
    events = sorted(envelopes, key=order)
    commands = without_editor([event for event in events if event["kind"] == "command"])
    changes = without_editor([event for event in events if event["kind"] in CHANGE_KINDS])
    test_runs = of_kind(events, "test_run")
    return {
        **activity(events, changes),
        **attributions(changes),
        **verification(events, commands, changes),
        **failures(commands, test_runs),
        "toolUsage": tool_usage(events),
    }


def activity(events: list[dict], changes: list[dict]) -> dict:
    return {
        "durationMs": milliseconds_between(events[0], events[-1]) if len(events) >= 2 else None,
        "firstChangeLatencyMs": milliseconds_between(events[0], changes[0]) if changes else None,
        "promptCount": len(of_kind(events, "prompt")),
        "decisionCount": len(of_kind(events, "decision_event")),
    }


def attributions(changes: list[dict]) -> dict:
    paths = [data(event).get("path") for event in changes]
    known = [attribution(event) for event in changes if attribution(event) in ATTRIBUTIONS]
    return {
        "fileChangeCount": len(changes),
        "uniqueFilesTouched": len({path for path in paths if isinstance(path, str)}),
        "manualEditRatio": billionths(len([name for name in known if name in BY_HAND]), len(known)),
        "aiAttributionPct": percent(known.count("likely_ai"), len(known)),
    }


def verification(events: list[dict], commands: list[dict], changes: list[dict]) -> dict:
    test_runs = of_kind(events, "test_run")
    kinds = [command_kind(data(event).get("command")) for event in commands]
    testing = [event for event, kind in zip(commands, kinds, strict=True) if kind == "test"]
    verifying = len(test_runs) + len(of_kind(events, "build_run")) + len([kind for kind in kinds if kind])
    return {
        "verifyIntensity": billionths(verifying, len(changes)),
        "testRunCount": len(test_runs) + len(testing),
        "testsPassed": tests_passed(test_runs, testing),
    }


def failures(commands: list[dict], test_runs: list[dict]) -> dict:
    codes = [exit_code(event) for event in commands if exit_code(event) is not None]
    return {
        "commandCount": len(commands),
        "commandFailRate": billionths(len(codes) - codes.count(0), len(codes)),
        "errorEpisodes": error_episodes(sorted(commands + test_runs, key=order)),
    }


# Exact numbers


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def nanoseconds(text: str) -> int:
    """An event's `ts` in nanoseconds since 1970."""
    match = TIME.fullmatch(text)
    if not match:
        raise ValueError(f"not a time: {text!r}")
    day, clock, fraction, sign, hours, minutes = match.groups()
    whole = datetime.fromisoformat(f"{day}T{clock}+00:00") - EPOCH
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        whole = whole - offset if sign == "+" else whole + offset
    return (whole.days * 86_400 + whole.seconds) * BILLION + int((fraction or "0").ljust(9, "0"))


def milliseconds_between(first: dict, last: dict) -> int:
    return half_up(Fraction(nanoseconds(last["ts"]) - nanoseconds(first["ts"]), NANOSECONDS_PER_MILLISECOND))


def billionths(part: int, total: int) -> int:
    return half_up(Fraction(part, total) * BILLION) if total else 0


def percent(part: int, total: int) -> Fraction | None:
    return Fraction(half_up(Fraction(part, total) * 1000), 10) if total else None


def is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# One event


def order(event: dict) -> tuple[int, str]:
    return nanoseconds(event["ts"]), event["id"]


def object_member(event: dict, name: str) -> dict:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def data(event: dict) -> dict:
    return object_member(event, "data")


def attribution(event: dict) -> object:
    return object_member(event, "provenance").get("attribution")


def source_name(event: dict) -> str | None:
    source = event.get("source")
    if isinstance(source, dict):
        names = [source.get(member) for member in ("integration", "emitter", "channel")]
        return next((name for name in names if isinstance(name, str)), None)
    return source if isinstance(source, str) else None


def is_from_editor(event: dict) -> bool:
    return object_member(event, "source").get("channel") == "ide-extension"


def is_from_hook(event: dict) -> bool:
    methods = object_member(event, "provenance").get("methods")
    return source_name(event) == "claude-code" and isinstance(methods, list) and "hook" in methods


def exit_code(event: dict) -> int | None:
    """A command's known exit code, or None."""
    code = data(event).get("exitCode")
    return code if is_integer(code) and not is_from_hook(event) else None


def has_counts(event: dict) -> bool:
    return is_integer(data(event).get("passed")) and is_integer(data(event).get("failed"))


# Several events


def of_kind(events: list[dict], kind: str) -> list[dict]:
    return [event for event in events if event["kind"] == kind]


def without_editor(events: list[dict]) -> list[dict]:
    """The events of channels other than the editor extension, or all without any."""
    return [event for event in events if not is_from_editor(event)] or events


def tests_passed(test_runs: list[dict], testing: list[dict]) -> bool | None:
    counts = [data(event) for event in test_runs if has_counts(event)]
    if counts:
        return counts[-1]["failed"] == 0 and counts[-1]["passed"] > 0
    codes = [exit_code(event) for event in testing if exit_code(event) is not None]
    return codes[-1] == 0 if codes else None


def error_episodes(commands_and_test_runs: list[dict]) -> int:
    """The number of unbroken runs of failures."""
    outcomes = "".join(outcome(event) for event in commands_and_test_runs)
    return len(re.findall("F+", outcomes))


def outcome(event: dict) -> str:
    """F, P, or nothing if the outcome is unknown."""
    if event["kind"] == "command":
        code = exit_code(event)
        return "" if code is None else "PF"[code != 0]
    return "PF"[data(event)["failed"] > 0] if has_counts(event) else ""


def tool_usage(events: list[dict]) -> dict[str, int]:
    announcing = {source_name(event) for event in events if event["kind"] == "tool_intent"}
    usage: dict[str, int] = {}
    for event in events:
        name = tool_name(event, source_name(event) in announcing)
        if isinstance(name, str):
            usage[name] = usage.get(name, 0) + 1
    return usage


def tool_name(event: dict, is_announced: bool) -> object:
    if event["kind"] == "tool_intent" or (event["kind"] == "tool_use" and not is_announced):
        return data(event).get("toolName")
    if event["kind"] == "mcp_call" and not is_announced:
        return data(event).get("tool")
    return None


# A cohort


def cohort(sessions: list[dict]) -> dict:
    """The `metrics` of the cohort statistics, from results of `recompute`."""
    return {
        "avgDurationMs": mean(sessions, "durationMs", decimals=0),
        "avgPromptCount": mean(sessions, "promptCount", decimals=1),
        "avgCommandFailRate": mean(sessions, "commandFailRate", decimals=3, unit=BILLION),
        "avgVerifyIntensity": mean(sessions, "verifyIntensity", decimals=3, unit=BILLION),
        "avgManualEditRatio": mean(sessions, "manualEditRatio", decimals=3, unit=BILLION),
        "avgFirstChangeLatencyMs": mean(sessions, "firstChangeLatencyMs", decimals=0),
        "testPassRate": pass_rate(sessions),
    }


def mean(sessions: list[dict], name: str, decimals: int, unit: int = 1) -> int | float | None:
    values = [session[name] for session in sessions if session[name] is not None]
    return rounded(Fraction(sum(values), len(values) * unit), decimals) if values else None


def pass_rate(sessions: list[dict]) -> int | float | None:
    passed = [session for session in sessions if session["testsPassed"] is True]
    return rounded(Fraction(len(passed) * 100, len(sessions)), 0) if sessions else None


def rounded(value: Fraction, decimals: int) -> int | float:
    """Half away from zero, for values that are never negative."""
    scaled = half_up(value * 10**decimals)
    return scaled / 10**decimals if decimals else scaled


def percentiles(sessions: list[dict], index: int) -> dict:
    """The percentiles of the session at `index` (R20)."""
    rows = [
        {"id": number} | {column: session[name] for name, column in COLUMNS.items()}
        for number, session in enumerate(sessions)
    ]
    shares = independent_cohorts.percentiles(rows)[index]
    return {name: shares[column] for name, column in COLUMNS.items()}
