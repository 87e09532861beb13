"""A session's metrics and a cohort's statistics, written a second time from metrics.md and R19 to R21.

Nothing here is shared with `rules`: the tests compare the two. It reads a whole timeline as a list, asks one
plain question after the other, and computes in fractions. The names are those of metrics.md. Cost and tokens
are left out.
"""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor

from independent_commands import command_kind, load_lists

TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CHANGE_KINDS = ("file_diff", "file_create", "file_delete")
BY_HAND = ("likely_human", "ai_revised_by_human")
ATTRIBUTIONS = ("likely_ai", "ai_revised_by_human", "likely_human", "mixed")

BILLION = 10**9
NANOSECONDS_PER_MILLISECOND = 10**6

RANKED = (
    "durationMs",
    "promptCount",
    "commandFailRate",
    "verifyIntensity",
    "manualEditRatio",
    "firstChangeLatencyMs",
)


def recompute(
    envelopes: list[dict], test_result: tuple[int, int] | None = None, lists: dict | None = None
) -> dict:
    """The metrics of a session's events, in whatever order they come.

    `test_result` is the submitted one, (passed, failed); `lists` the content of `verifications.json`. Times
    are integers of milliseconds, ratios integers of billionths, `aiAttributionPct` a Fraction.
    """
    events = sorted(envelopes, key=order)
    commands = without_editor([event for event in events if event["kind"] == "command"])
    changes = without_editor([event for event in events if event["kind"] in CHANGE_KINDS])
    test_runs = of_kind(events, "test_run")
    return {
        **what_happened(events, changes),
        **who_changed(changes),
        **what_was_verified(events, commands, changes, test_result, lists or load_lists()),
        **what_failed(commands, test_runs),
        "toolUsage": tool_usage(events),
    }


def what_happened(events: list[dict], changes: list[dict]) -> dict:
    return {
        "durationMs": milliseconds_between(events[0], events[-1]) if len(events) >= 2 else None,
        "firstChangeLatencyMs": milliseconds_between(events[0], changes[0]) if changes else None,
        "promptCount": len(of_kind(events, "prompt")),
        "decisionCount": len(of_kind(events, "decision_event")),
    }


def who_changed(changes: list[dict]) -> dict:
    paths = [data(event).get("path") for event in changes]
    who = [attribution(event) for event in changes if attribution(event) in ATTRIBUTIONS]
    return {
        "fileChangeCount": len(changes),
        "uniqueFilesTouched": len({path for path in paths if isinstance(path, str)}),
        "manualEditRatio": billionths(len([name for name in who if name in BY_HAND]), len(who)),
        "aiAttributionPct": percent(who.count("likely_ai"), len(who)),
    }


def what_was_verified(
    events: list[dict],
    commands: list[dict],
    changes: list[dict],
    test_result: tuple[int, int] | None,
    lists: dict,
) -> dict:
    test_runs = of_kind(events, "test_run")
    kinds = [command_kind(data(event).get("command"), lists) for event in commands]
    testing = [event for event, kind in zip(commands, kinds, strict=True) if kind == "test"]
    verifying = len(test_runs) + len(of_kind(events, "build_run")) + len([kind for kind in kinds if kind])
    return {
        "verifyIntensity": billionths(verifying, len(changes)),
        "testRunCount": len(test_runs) + len(testing),
        "testsPassed": tests_passed(test_result, test_runs, testing),
    }


def what_failed(commands: list[dict], test_runs: list[dict]) -> dict:
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
    """The exact instant of an event's `ts`, in nanoseconds since 1970."""
    found = TIME.fullmatch(text)
    if not found:
        raise ValueError(f"not a time: {text!r}")
    day, clock, fraction, sign, hours, minutes = found.groups()
    whole = datetime.fromisoformat(f"{day}T{clock}+00:00") - EPOCH
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        whole = whole - offset if sign == "+" else whole + offset
    return (whole.days * 86_400 + whole.seconds) * BILLION + int((fraction or "0").ljust(9, "0"))


def milliseconds_between(first: dict, last: dict) -> int:
    return half_up(Fraction(nanoseconds(last["ts"]) - nanoseconds(first["ts"]), NANOSECONDS_PER_MILLISECOND))


def billionths(some: int, of_all: int) -> int:
    return half_up(Fraction(some, of_all) * BILLION) if of_all else 0


def percent(some: int, of_all: int) -> Fraction | None:
    return Fraction(half_up(Fraction(some, of_all) * 1000), 10) if of_all else None


def is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# Questions to one event


def order(event: dict) -> tuple[int, str]:
    return nanoseconds(event["ts"]), event["id"]


def part(event: dict, name: str) -> dict:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def data(event: dict) -> dict:
    return part(event, "data")


def attribution(event: dict) -> object:
    return part(event, "provenance").get("attribution")


def source_name(event: dict) -> str | None:
    source = event.get("source")
    if isinstance(source, dict):
        names = [source.get(member) for member in ("integration", "emitter", "channel")]
        return next((name for name in names if isinstance(name, str)), None)
    return source if isinstance(source, str) else None


def is_from_editor(event: dict) -> bool:
    return part(event, "source").get("channel") == "ide-extension"


def is_from_a_hook(event: dict) -> bool:
    methods = part(event, "provenance").get("methods")
    return source_name(event) == "claude-code" and isinstance(methods, list) and "hook" in methods


def exit_code(event: dict) -> int | None:
    """The known exit code of a command, or None."""
    code = data(event).get("exitCode")
    return code if is_integer(code) and not is_from_a_hook(event) else None


def has_counts(event: dict) -> bool:
    return is_integer(data(event).get("passed")) and is_integer(data(event).get("failed"))


# Questions to several


def of_kind(events: list[dict], kind: str) -> list[dict]:
    return [event for event in events if event["kind"] == kind]


def without_editor(events: list[dict]) -> list[dict]:
    """The events that others than the editor extension reported, or all where there are none."""
    return [event for event in events if not is_from_editor(event)] or events


def tests_passed(
    submitted: tuple[int, int] | None, test_runs: list[dict], testing: list[dict]
) -> bool | None:
    counted = [(data(event)["passed"], data(event)["failed"]) for event in test_runs if has_counts(event)]
    if submitted is not None:
        counted.append(submitted)
    if counted:
        passed, failed = counted[-1]
        return failed == 0 and passed > 0
    codes = [exit_code(event) for event in testing if exit_code(event) is not None]
    return codes[-1] == 0 if codes else None


def error_episodes(commands_and_test_runs: list[dict]) -> int:
    """How many unbroken runs of failures, from a letter for each known outcome."""
    outcomes = "".join(outcome(event) for event in commands_and_test_runs)
    return len(re.findall("F+", outcomes))


def outcome(event: dict) -> str:
    """F, P, or nothing where the outcome is not known."""
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
    """The `metrics` of the specification's cohort statistics, from what `recompute` gave for each session.

    Numbers as a JSON reader gives them: integers, or the float nearest to the exact decimal.
    """
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
    """The share of the other sessions that the session at `index` beats, by metric (R20)."""
    return {name: percentile(sessions, index, name) for name in RANKED}


def percentile(sessions: list[dict], index: int, name: str) -> float | None:
    own = sessions[index][name]
    values = [session[name] for session in sessions if session[name] is not None]
    if own is None or len(values) < 2:
        return None
    is_beaten = (lambda value: value > own) if name == "commandFailRate" else (lambda value: value < own)
    return rounded(Fraction(len(list(filter(is_beaten, values))), len(values) - 1), 3)
