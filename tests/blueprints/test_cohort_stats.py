"""Cohort statistics: the specification's example, and R19 to R22."""

import random
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import independent_statistics
import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_key,
    make_keys,
    make_recorded_session,
    make_session,
    mark_hired,
    record,
)
from response_checks import body_of, error_of

from models import Session, clock, new_id, sessions
from rules.events.recorded_events import RecordedEvent

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"


class Work(NamedTuple):
    """One candidate's work in the example."""

    minutes: int
    prompts: int
    commands: tuple[int, int]  # failed, total
    verifications: int
    changes: tuple[int, int]  # likely human, total
    first_change: int  # seconds
    tests: tuple[int, int] | None  # passed, failed


# The comments give the number of candidates with a lower value.
COMPARED = Work(
    minutes=80,  # 8
    prompts=35,  # 5, one equal
    commands=(0, 1),  # 9 with a higher rate, two equal
    verifications=4,  # 7, one equal
    changes=(3, 5),  # 8, one equal
    first_change=120,  # 4, one equal
    tests=(41, 0),
)
OTHERS = [
    Work(30, 90, (1, 5), 1, (0, 5), 120, (12, 0)),
    Work(150, 10, (1, 5), 1, (1, 8), 60, (3, 9)),
    Work(66, 45, (1, 5), 6, (5, 6), 450, (41, 0)),
    Work(98, 15, (0, 1), 1, (1, 5), 330, (40, 0)),
    Work(40, 65, (1, 5), 2, (1, 5), 90, (41, 0)),
    Work(120, 20, (1, 10), 2, (3, 5), 100, None),
    Work(45, 52, (1, 5), 3, (0, 5), 250, (41, 0)),
    Work(50, 25, (0, 1), 3, (1, 5), 150, (0, 0)),
    Work(70, 40, (1, 5), 4, (1, 5), 200, (7, 0)),
    Work(60, 35, (1, 5), 5, (4, 5), 110, (41, 0)),
    Work(55, 30, (1, 5), 6, (1, 5), 180, (41, 0)),
]

EXAMPLE = {
    "sessionCount": 12,
    "metrics": {
        "avgDurationMs": 4320000,
        "avgPromptCount": 38.5,
        "avgCommandFailRate": 0.142,
        "avgVerifyIntensity": 0.61,
        "avgManualEditRatio": 0.33,
        "avgFirstChangeLatencyMs": 180000,
        "testPassRate": 75,
    },
    "percentiles": {
        "durationMs": 0.727,
        "promptCount": 0.455,
        "commandFailRate": 0.818,
        "verifyIntensity": 0.636,
        "manualEditRatio": 0.727,
        "firstChangeLatencyMs": 0.364,
    },
}


def events_of(work):
    failed, commands = work.commands
    human, changes = work.changes
    yield envelope("session_end", at=work.minutes * 60)
    yield envelope("session_start", at=0)
    for number in range(work.prompts):
        yield envelope("prompt", at=1 + number)
    for number in range(commands):
        yield envelope("command", at=50, data={"command": "git status", "exitCode": int(number < failed)})
    for number in range(changes):
        attribution = "likely_human" if number < human else "likely_ai"
        yield envelope("file_diff", at=work.first_change + number, provenance={"attribution": attribution})
    if work.tests:
        passed, failing = work.tests
        yield envelope("test_run", at=work.minutes * 60 - 1, data={"passed": passed, "failed": failing})
    for number in range(work.verifications - bool(work.tests)):
        yield envelope("build_run", at=55 + number)


def complete_over_http(app, assessment, work):
    """Complete a session over HTTP. Return its id."""
    key = make_key(assessment)
    candidate, body = Caller.candidate(app, key), {"key": key.key}
    assert candidate.post("/v1/candidate/consent", body).status_code == 200
    body["sessionId"] = candidate.post("/v1/candidate/redeem", body).json["sessionId"]
    response = candidate.post("/v1/hooks/ingest/batch", {"events": list(events_of(work))})
    assert {result["status"] for result in response.json["results"]} == {"created"}
    assert candidate.post("/v1/candidate/complete", body).status_code == 200
    return body["sessionId"]


def statistics(reviewer, assessment, session_id=None):
    query = {"sessionId": session_id} if session_id else {}
    response = reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats", **query)
    return body_of(response)["cohortStats"]


def test_example_from_the_specification(app, reviewer, assessment):
    ids = [complete_over_http(app, assessment, work) for work in [*OTHERS[:5], COMPARED, *OTHERS[5:]]]
    stats = statistics(reviewer, assessment, ids[5])
    assert specified_fields(stats) == EXAMPLE
    assert stats["summary"]["commandFailRate"] == {
        "n": 12, "observations": 53, "direction": "lower_is_better", "minimum": 0.0, "lowerQuartile": 0.075,
        "median": 0.2, "upperQuartile": 0.2, "maximum": 0.2, "value": 0.0, "valueObservations": 1,
        "below": 0, "equal": 2, "above": 9, "rank": "more failures than 0 of 11",
    }  # fmt: skip
    summaries = stats["summary"].items()
    assert {name: (summary["observations"], summary["direction"]) for name, summary in summaries} == {
        "durationMs": (641, "neither"),
        "promptCount": (462, "neither"),
        "commandFailRate": (53, "lower_is_better"),
        "verifyIntensity": (64, "higher_is_better"),
        "manualEditRatio": (64, "neither"),
        "firstChangeLatencyMs": (64, "neither"),
    }
    without_session = statistics(reviewer, assessment)
    assert specified_fields(without_session) == {"sessionCount": 12, "metrics": EXAMPLE["metrics"]}
    assert without_session["summary"]["promptCount"].keys().isdisjoint({"value", "below", "rank"})


def specified_fields(stats):
    """Return the fields that the specification defines."""
    return {name: stats[name] for name in ("sessionCount", "metrics", "percentiles") if name in stats}


# Smaller cohorts


def prompts(count, seconds=1):
    """Return `count` prompts spread over `seconds`."""
    return [envelope("prompt", at=seconds * number / max(count - 1, 1)) for number in range(count)]


def test_open_and_empty_sessions_and_small_cohorts_are_reported(reviewer, assessment, session):
    assert statistics(reviewer, assessment) is None
    assert statistics(reviewer, assessment, session.id) is None
    make_closed_session(assessment)
    make_closed_session(assessment, *prompts(2))
    stats = statistics(reviewer, assessment, session.id)
    assert stats["sessionCount"] == 2
    assert [stats[name] for name in ("open", "empty", "small")] == [1, 1, True]
    assert "single one" in stats["smallNote"]
    # The session is open.
    assert "percentiles" not in stats
    assert "value" not in stats["summary"]["promptCount"]
    for _ in range(8):
        make_closed_session(assessment)
    stats = statistics(reviewer, assessment)
    assert [stats[name] for name in ("open", "empty", "small", "smallNote")] == [1, 9, False, None]


def test_session_with_unknown_exit_codes_is_left_out_with_the_reason(reviewer, assessment):
    make_closed_session(assessment, envelope("command", data={"command": "make", "exitCode": 1}))
    recorded = make_recorded_session(make_key(assessment))
    record(recorded, "proxy", RecordedEvent("command", {"command": "make test"}, "1"))
    sessions.complete(recorded)
    assert body_of(reviewer.get(f"/v1/sessions/{recorded.id}"))["metrics"]["commandFailRate"] is None
    stats = statistics(reviewer, assessment, recorded.id)
    summary = stats["summary"]["commandFailRate"]
    assert [summary[name] for name in ("n", "maximum", "value", "rank")] == [1, 1.0, None, None]
    assert summary["note"] == "1 session left out: fewer than half of the commands' exit codes are known."
    assert stats["percentiles"]["commandFailRate"] is None
    assert (stats["metrics"]["avgCommandFailRate"], stats["metrics"]["testPassRate"]) == (1.0, 0)
    assert "note" not in stats["summary"]["manualEditRatio"]


@pytest.mark.parametrize("size", [41, 1, 2, 9, 10, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.bypasses_ledger
def test_statistics_match_an_independent_implementation(reviewer, assessment, size):
    """Random cohorts with ties and nulls."""
    rows = random_cohort(assessment, size, random.Random(size))
    independent_statistics.check(statistics(reviewer, assessment), rows)
    for row in rows[:: size // 9 + 1]:
        independent_statistics.check(statistics(reviewer, assessment, row["id"]), rows, row)


def random_cohort(assessment, size, rng):
    """Store closed sessions with random columns. Return the columns."""
    keys = [key for _ in range(0, size, 50) for key in make_keys(assessment, 50)][:size]
    number = partial(rng.choice, [0, 1, 2, 255, 256, 70_000, 2**24, 2**24 + 1, 2**40])
    ratio = partial(rng.choice, [0, 1, 333_333_333, 500_000_000, 500_000_001, 2_000_000_000])
    rows = [
        {
            "id": new_id(),
            "duration_ms": number() if rng.random() < 0.7 else None,
            "prompt_count": rng.randrange(4),
            "command_fail_rate": ratio(),
            "verify_intensity": rng.randrange(3_000_000_000),
            "manual_edit_ratio": ratio(),
            "first_change_latency_ms": rng.randrange(2**25) if rng.random() < 0.5 else None,
            "tests_passed": rng.choice([True, False, None]),
            "derivation_version": 1,
            "event_count": rng.randrange(3),
            "known_exit_code_count": rng.randrange(3),
            "file_change_count": rng.randrange(3),
            "attributed_change_count": rng.randrange(3),
        }
        for _ in range(size)
    ]
    common = {"organization": assessment.organization, "assessment": assessment, "closed_at": clock.now()}
    for row in rows:
        if row["first_change_latency_ms"] is None:
            row["file_change_count"] = 0
    Session.insert_many([row | common | {"key": key} for row, key in zip(rows, keys, strict=True)]).execute()
    return rows


@pytest.mark.bypasses_ledger
def test_sums_and_ranks_are_exact_beyond_64_bits(reviewer, assessment):
    """Clients' clocks can be off by centuries."""
    sessions = [make_closed_session(assessment) for _ in range(2)]
    for session, duration in zip(sessions, (2**63 - 1, 2**63 - 4), strict=True):
        Session.update(duration_ms=duration).where(Session.id == session.id).execute()
    stats = statistics(reviewer, assessment, sessions[0].id)
    assert stats["metrics"]["avgDurationMs"] == 2**63 - 2
    assert (stats["summary"]["durationMs"]["below"], stats["percentiles"]["durationMs"]) == (1, 1.0)


# A cohort's sessions (R19)


def test_cohort_includes_hired_expired_and_closed_sessions(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=30)
    mark_hired(make_closed_session(assessment), True)
    sessions.close(make_session(make_key(assessment)))
    expiring = make_session(make_key(assessment))
    for event in prompts(4):
        add_event(expiring, event)
    clock.fixed += timedelta(minutes=35, milliseconds=-1)
    assert statistics(reviewer, assessment)["sessionCount"] == 2
    clock.fixed += timedelta(milliseconds=1)
    stats = statistics(reviewer, assessment, expiring.id)
    assert (stats["sessionCount"], stats["metrics"]["avgPromptCount"]) == (3, 1.3)
    assert stats["percentiles"]["promptCount"] == 1.0
    assert Session.get_by_id(expiring.id).closed_at == expiring.closes_at


def test_late_events_do_not_count(clock, reviewer, assessment):
    session = make_closed_session(assessment, *prompts(1))
    assert statistics(reviewer, assessment)["metrics"]["avgPromptCount"] == 1.0
    for pause in (timedelta(), timedelta(minutes=11)):
        clock.fixed += pause
        add_event(session, envelope("prompt", at=5))
        assert statistics(reviewer, assessment)["metrics"]["avgPromptCount"] == 2.0


def test_cohort_includes_revoked_keys_and_excludes_other_assessments(reviewer, organization, assessment):
    rows = [make_closed_session(assessment, *prompts(count)) for count in (1, 2)]
    for session in rows:
        session.key.revoke()
    make_closed_session(make_assessment(organization), *prompts(9))
    stats = statistics(reviewer, assessment)
    assert (stats["sessionCount"], stats["metrics"]["avgPromptCount"]) == (2, 1.5)
    ranked = [statistics(reviewer, assessment, session.id)["percentiles"]["promptCount"] for session in rows]
    assert ranked == [0.0, 1.0]


def test_session_must_belong_to_the_assessment(reviewer, organization, neighbour, assessment):
    owners = (organization, neighbour.row.organization)
    others = [make_closed_session(make_assessment(owner)).id for owner in owners]
    for invalid_id in (UNKNOWN_ID, "nonsense", "", " ", "%", "0" * 32, *others):
        response = reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats", sessionId=invalid_id)
        assert error_of(response) == (404, "not_found"), invalid_id
    rows = [make_closed_session(assessment, *prompts(number)) for number in range(2)]
    assert "percentiles" in statistics(reviewer, assessment, str(rows[0].id).upper())
