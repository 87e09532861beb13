"""Cohort statistics: the specification's own example from events that came through HTTP, and R19 to R22."""

from datetime import timedelta
from typing import NamedTuple

import pytest
from answers import refusal
from callers import Caller
from factories import add_event, envelope, make_assessment, make_closed_session, make_key, make_session

from models import Session, sessions

NOWHERE = "00000000-0000-7000-8000-000000000000"


class Work(NamedTuple):
    """What one candidate of the example did."""

    minutes: int
    prompts: int
    commands: tuple[int, int]  # failed, of all
    verifications: int
    changes: tuple[int, int]  # by hand, of all
    first_change: int  # seconds
    tests: tuple[int, int] | None  # passed, failed


# The one whose percentiles are asked for; each comment says how many of the other eleven it beats.
OURS = Work(
    minutes=80,  # 8
    prompts=35,  # 5, and equals one
    commands=(0, 1),  # 9, and equals two
    verifications=4,  # 7 (4/5), and equals one
    changes=(3, 5),  # 8 (3/5), and equals one
    first_change=120,  # 4, and equals one
    tests=(41, 0),
)
# In no order that any of the metrics has. Together with ours: 864 minutes, 462 prompts, fail rates of 1.7,
# verifications per change of 7.325, ratios by hand of 3.9583, 2160 seconds, and 9 that passed.
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
    """The events of a candidate who did this, in no particular order."""
    failed, commands = work.commands
    by_hand, changes = work.changes
    yield envelope("session_end", at=work.minutes * 60)
    yield envelope("session_start", at=0)
    for number in range(work.prompts):
        yield envelope("prompt", at=1 + number)
    for number in range(commands):
        yield envelope("command", at=50, data={"command": "git status", "exitCode": int(number < failed)})
    for number in range(changes):
        attribution = "likely_human" if number < by_hand else "likely_ai"
        yield envelope("file_diff", at=work.first_change + number, provenance={"attribution": attribution})
    if work.tests:
        passed, failing = work.tests
        yield envelope("test_run", at=work.minutes * 60 - 1, data={"passed": passed, "failed": failing})
    for number in range(work.verifications - bool(work.tests)):
        yield envelope("build_run", at=55 + number)


def worked(app, assessment, work):
    """The id of a session that came through HTTP from consent to complete."""
    key = make_key(assessment)
    candidate = Caller.candidate(app, key)
    assert candidate.post("/v1/candidate/consent", {"key": key.key}).status_code == 200
    session_id = candidate.post("/v1/candidate/redeem", {"key": key.key}).json["sessionId"]
    for event in events_of(work):
        assert candidate.post("/v1/hooks/ingest", event).status_code == 201
    assert (
        candidate.post("/v1/candidate/complete", {"key": key.key, "sessionId": session_id}).status_code == 200
    )
    return session_id


def test_the_specifications_example(app, reviewer, assessment):
    sessions = [worked(app, assessment, work) for work in [*OTHERS[:5], OURS, *OTHERS[5:]]]
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    answer = reviewer.get(path, sessionId=sessions[5])
    assert (answer.status_code, answer.json) == (200, {"cohortStats": EXAMPLE})
    without = {name: value for name, value in EXAMPLE.items() if name != "percentiles"}
    assert reviewer.get(path).json == {"cohortStats": without}


# Smaller cohorts, by the same verbs


def statistics(reviewer, assessment, session=None):
    query = {"sessionId": str(session.id)} if session else {}
    answer = reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats", **query)
    assert answer.status_code == 200, answer.json
    return answer.json["cohortStats"]


def prompts(count, seconds=1):
    """A session's events: `count` prompts spread over `seconds`."""
    return [envelope("prompt", at=seconds * number / max(count - 1, 1)) for number in range(count)]


def test_there_are_no_statistics_without_sessions(reviewer, assessment):
    assert statistics(reviewer, assessment) is None


def test_an_open_session_is_no_cohort_and_has_no_percentiles(reviewer, assessment, session):
    assert statistics(reviewer, assessment) is None
    assert statistics(reviewer, assessment, session) is None


def test_an_open_session_beside_a_cohort_has_no_percentiles(reviewer, assessment, session):
    make_closed_session(assessment, *prompts(1))
    make_closed_session(assessment, *prompts(2))
    found = statistics(reviewer, assessment, session)
    assert found["sessionCount"] == 2
    assert "percentiles" not in found


def test_a_session_alone_has_no_percentiles(reviewer, assessment):
    session = make_closed_session(assessment, *prompts(3, seconds=60))
    found = statistics(reviewer, assessment, session)
    assert found == {
        "sessionCount": 1,
        "metrics": {
            "avgDurationMs": 60000,
            "avgPromptCount": 3.0,
            "avgCommandFailRate": 0.0,
            "avgVerifyIntensity": 0.0,
            "avgManualEditRatio": 0.0,
            "avgFirstChangeLatencyMs": None,
            "testPassRate": 0,
        },
    }


def test_of_two_sessions_one_beats_the_other(reviewer, assessment):
    more, fewer = make_closed_session(assessment, *prompts(3)), make_closed_session(assessment, *prompts(2))
    assert statistics(reviewer, assessment, more)["percentiles"]["promptCount"] == 1.0
    assert statistics(reviewer, assessment, fewer)["percentiles"]["promptCount"] == 0.0


def test_equals_beat_nobody(reviewer, assessment):
    session, _ = (make_closed_session(assessment, *prompts(2)) for _ in range(2))
    ranks = statistics(reviewer, assessment, session)["percentiles"]
    assert ranks == dict.fromkeys(ranks, 0.0) | {"firstChangeLatencyMs": None}


def test_a_lower_fail_rate_ranks_higher(reviewer, assessment):
    def session(*codes):
        return make_closed_session(
            assessment, *(envelope("command", data={"exitCode": code}) for code in codes)
        )

    best, middle, worst = session(0), session(0, 1), session(1)
    ranks = [
        statistics(reviewer, assessment, one)["percentiles"]["commandFailRate"]
        for one in (best, middle, worst)
    ]
    assert ranks == [1.0, 0.5, 0.0]


def test_null_values_are_left_out_of_averages_and_ranks(reviewer, assessment):
    early = make_closed_session(assessment, envelope(), envelope("file_diff", at=10))
    late = make_closed_session(assessment, envelope(), envelope("file_diff", at=30))
    never = make_closed_session(assessment, envelope())
    found = statistics(reviewer, assessment, late)
    assert found["metrics"]["avgFirstChangeLatencyMs"] == found["metrics"]["avgDurationMs"] == 20000
    assert found["percentiles"]["firstChangeLatencyMs"] == 1.0
    assert statistics(reviewer, assessment, early)["percentiles"]["firstChangeLatencyMs"] == 0.0
    assert statistics(reviewer, assessment, never)["percentiles"]["firstChangeLatencyMs"] is None


def test_the_only_session_with_a_value_has_no_rank_for_it(reviewer, assessment):
    only = make_closed_session(assessment, envelope(), envelope("file_diff", at=10))
    make_closed_session(assessment, envelope())
    found = statistics(reviewer, assessment, only)
    assert found["percentiles"]["firstChangeLatencyMs"] is None
    assert found["percentiles"]["promptCount"] == 0.0


def test_a_session_without_events_counts_with_what_it_has(reviewer, assessment):
    make_closed_session(assessment)
    found = statistics(reviewer, assessment)
    assert (found["metrics"]["avgDurationMs"], found["metrics"]["avgPromptCount"]) == (None, 0.0)


def test_averages_are_rounded_once_half_away_from_zero(reviewer, assessment):
    # 1/3 is stored as 333333333 billionths; the mean of three prompts over four sessions is 0.75.
    make_closed_session(assessment, *(envelope("command", data={"exitCode": code}) for code in (1, 0, 0)))
    make_closed_session(assessment, *prompts(3, seconds=0.001))
    for _ in range(2):
        make_closed_session(assessment, *prompts(0))
    metrics = statistics(reviewer, assessment)["metrics"]
    assert metrics["avgPromptCount"] == 0.8
    assert metrics["avgCommandFailRate"] == 0.083
    assert metrics["avgDurationMs"] == 1  # 0 and 1 ms: half a millisecond goes up


def test_the_pass_rate_is_of_all_sessions(reviewer, assessment):
    make_closed_session(assessment, envelope("test_run", data={"passed": 1, "failed": 0}))
    make_closed_session(assessment, envelope("test_run", data={"passed": 1, "failed": 1}))
    make_closed_session(assessment)
    assert statistics(reviewer, assessment)["metrics"]["testPassRate"] == 33


# Who is in the cohort (R19)


def test_hired_expired_and_closed_sessions_are_in_the_cohort(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=30)
    hired = make_closed_session(assessment)
    sessions.mark_hired(hired, True)
    sessions.close(make_session(make_key(assessment)))
    make_session(make_key(assessment))
    clock.fixed += timedelta(minutes=35, milliseconds=-1)
    assert statistics(reviewer, assessment)["sessionCount"] == 2
    clock.fixed += timedelta(milliseconds=1)
    assert statistics(reviewer, assessment)["sessionCount"] == 3


def test_a_look_closes_what_is_due_with_its_metrics(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=30)
    session = make_session(make_key(assessment))
    for event in prompts(4):
        add_event(session, event)
    clock.fixed += timedelta(days=2)
    assert statistics(reviewer, assessment, session)["metrics"]["avgPromptCount"] == 4.0
    assert Session.get_by_id(session.id).closed_at == session.closes_at


def test_events_after_the_close_are_in_the_next_look(clock, reviewer, assessment):
    session = make_closed_session(assessment, *prompts(1))
    assert statistics(reviewer, assessment)["metrics"]["avgPromptCount"] == 1.0
    add_event(session, envelope("prompt", at=5))
    assert statistics(reviewer, assessment)["metrics"]["avgPromptCount"] == 2.0
    clock.fixed += timedelta(minutes=11)
    add_event(session, envelope("prompt", at=6))
    assert statistics(reviewer, assessment)["metrics"]["avgPromptCount"] == 2.0


def test_a_session_whose_key_was_revoked_stays_in_the_cohort(reviewer, assessment):
    session, other = (
        make_closed_session(assessment, *prompts(2)),
        make_closed_session(assessment, *prompts(1)),
    )
    for one in (session, other):
        one.key.revoke()
    assert statistics(reviewer, assessment, session)["percentiles"]["promptCount"] == 1.0


def test_other_assessments_are_other_cohorts(reviewer, organization, assessment):
    make_closed_session(make_assessment(organization), *prompts(9))
    make_closed_session(assessment, *prompts(2))
    found = statistics(reviewer, assessment)
    assert (found["sessionCount"], found["metrics"]["avgPromptCount"]) == (1, 2.0)


# Which session is meant (R22)


@pytest.mark.parametrize("wrong", [NOWHERE, "nonsense", "", " ", "%", "0" * 32])
def test_what_is_no_session_is_404(reviewer, assessment, wrong):
    answer = reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats", sessionId=wrong)
    assert refusal(answer) == (404, "not_found")


def test_a_session_of_another_assessment_is_404(reviewer, organization, neighbour, assessment):
    for owner in (organization, neighbour.row.organization):
        session = make_closed_session(make_assessment(owner))
        answer = reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats", sessionId=str(session.id))
        assert refusal(answer) == (404, "not_found")


def test_a_session_counts_in_any_letter_case(reviewer, assessment):
    sessions = [make_closed_session(assessment, *prompts(number)) for number in range(2)]
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    assert "percentiles" in reviewer.get(path, sessionId=str(sessions[0].id).upper()).json["cohortStats"]


def test_only_reviewers_of_the_organization_see_statistics(candidate, neighbour, assessment):
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    assert refusal(candidate.get(path)) == (401, "unauthorized")
    assert refusal(neighbour.get(path)) == (404, "not_found")
