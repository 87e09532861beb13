"""What sessions say in numbers: issue 3, section 6, with R17, R19 to R22 and metrics.md."""

from datetime import timedelta

import pytest
from answers import places, refusal
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_key,
    make_keys,
    make_organization,
    make_session,
)

from models import ModelUsage, sessions
from rules.usage import ReportedUsage

OVERVIEW, TOP = "/v1/analytics/overview", "/v1/analytics/top-candidates"
MEDIANS = {
    "durationMs", "promptCount", "commandFailRate", "verifyIntensity", "manualEditRatio", "firstChangeLatencyMs",
}  # fmt: skip


def ok(answer):
    assert answer.status_code == 200, answer.json
    return answer.json


def analytics(reviewer, session):
    return ok(reviewer.get(f"/v1/sessions/{session.id}/analytics"))


def prompts(count, seconds=60):
    """A session's events: so many prompts over so many seconds."""
    return [envelope("prompt", at=number * seconds / max(count - 1, 1)) for number in range(count)]


def command(at, text, exit_code, **data):
    return envelope("command", at=at, data={"command": text, "exitCode": exit_code} | data)


# One session


def test_an_empty_session_has_no_shares(reviewer, session):
    found = analytics(reviewer, session)
    assert (found["elapsedMs"], found["activeMs"], found["idleMs"]) == (0, 0, 0)
    assert {phase["share"] for phase in found["phases"]} == {None}
    assert (
        found["sittings"]
        == found["turns"]
        == found["tools"]
        == found["models"]
        == found["errorEpisodes"]
        == []
    )
    assert found["totalCostUsd"] is None


def test_an_open_session_is_analysed_as_it_is_now(reviewer, session):
    add_event(session, envelope("prompt", at=0, id="p", data={"text": "Fix it"}))
    add_event(session, envelope("file_read", at=10))
    add_event(session, envelope("file_diff", at=40))
    found = analytics(reviewer, session)
    times = {phase["name"]: (phase["events"], phase["timeMs"], phase["share"]) for phase in found["phases"]}
    assert times == {
        "prompting": (1, 0, 0.0),
        "reading": (1, 10_000, 0.25),
        "changing": (1, 30_000, 0.75),
        "verifying": (0, 0, 0.0),
        "other": (0, 0, 0.0),
    }
    (turn,) = found["turns"]
    assert turn == {
        "eventId": "p",
        "beganAt": "2026-04-01T09:00:00.000Z",
        "endedAt": "2026-04-01T09:00:40.000Z",
        "durationMs": 40_000,
        "events": 3,
        "prompts": 1,
        "changes": 1,
        "commands": 0,
        "failedCommands": 0,
        "firstPrompt": "Fix it",
    }
    assert found["sittings"] == [turn]


def test_what_of_a_pause_counts_is_said(reviewer, session):
    add_event(session, envelope("prompt", at=0))
    add_event(session, envelope("prompt", at=600))
    found = analytics(reviewer, session)
    assert (found["elapsedMs"], found["activeMs"], found["idleMs"]) == (600_000, 300_000, 300_000)
    assert (found["longestPauseMs"], found["longestBreakMs"]) == (300_000, 1_800_000)
    assert found["phases"][0]["pauses"] == 1


def test_tools_and_models_with_their_cost(reviewer, session):
    tokens = {"inputTokens": 10, "outputTokens": 20, "cacheReadTokens": 30, "cacheWriteTokens": 40}
    for at in (0, 1):
        data = tokens | {"model": "claude-x", "totalCost": 0.25}
        add_event(session, envelope("ai_response", at=at, source="claude-code", data=data))
        add_event(session, envelope("tool_intent", at=at, source="claude-code", data={"toolName": "Bash"}))
    data = {"model": "nobody-knows", "outputTokens": 1}
    add_event(session, envelope("ai_response", at=2, source="claude-code", data=data))
    found = analytics(reviewer, session)
    assert found["tools"] == [{"name": "Bash", "calls": 2}]
    assert found["models"] == [
        {
            "model": "claude-x",
            "responses": 2,
            "tokens": {"input": 20, "output": 40, "cacheRead": 60, "cacheWrite": 80},
            "costUsd": 0.5,
        },
        {
            "model": "nobody-knows",
            "responses": 1,
            "tokens": {"input": 0, "output": 1, "cacheRead": 0, "cacheWrite": 0},
            "costUsd": None,
        },
    ]
    assert found["totalCostUsd"] is None


def test_what_passed_the_proxies_is_added_up_by_model(reviewer, session, clock):
    def call(provider, model, status=200, **counts):
        ended = {"started_at": clock.now(), "status_code": status, "is_whole": True}
        ModelUsage.record(session, provider, ReportedUsage(model, counts), **ended)

    call("anthropic", "claude-haiku-4-5", input=1000, output=100, cacheRead=10)
    call("anthropic", "claude-haiku-4-5", input=1, output=2)
    call("anthropic", None, status=529)
    call("openai", "a-model-of-tomorrow", input=5, output=5)
    used = {use["model"]: use for use in analytics(reviewer, session)["proxyUsage"]}
    haiku = used["claude-haiku-4-5"]
    assert (haiku["calls"], haiku["inputTokens"], haiku["outputTokens"]) == (2, 1001, 102)
    assert haiku["costUsd"] > 0
    assert (used[None]["calls"], used[None]["inputTokens"]) == (1, None)
    assert (used["a-model-of-tomorrow"]["inputTokens"], used["a-model-of-tomorrow"]["costUsd"]) == (5, None)


def test_error_episodes_say_how_they_ended(reviewer, session):
    failure = command(0, "go test ./...", 1, stdout="ok a\nFAIL b\nFAIL", stderr="")
    success = command(90, "go test ./...", 0)
    for event in (failure, envelope("file_diff", at=30), envelope("prompt", at=60), success):
        add_event(session, event)
    (episode,) = analytics(reviewer, session)["errorEpisodes"]
    assert episode == {
        "ending": "fixed",
        "failureCount": 1,
        "firstFailure": {
            "eventId": failure["id"],
            "ts": "2026-04-01T09:00:00.000Z",
            "command": "go test ./...",
            "output": "ok a / FAIL b / FAIL",
        },
        "lastFailure": episode["firstFailure"],
        "endedBy": {
            "eventId": success["id"],
            "ts": "2026-04-01T09:01:30.000Z",
            "command": "go test ./...",
            "output": None,
        },
        "durationMs": 90_000,
        "changes": 1,
        "prompts": 1,
    }


def test_late_events_have_no_part_in_the_analysis(clock, reviewer, session):
    sessions.complete(session)
    clock.fixed += timedelta(hours=1)
    add_event(session, envelope("prompt"))
    assert analytics(reviewer, session)["turns"] == []


def test_events_may_lack_anything(reviewer, session):
    kinds = "prompt command file_diff planning ai_response test_run editor_edit tool_use unheard_of"
    for at, kind in enumerate(kinds.split()):
        for data in (
            {},
            {"text": 5, "path": [], "command": {}, "todos": [None, 3], "exitCode": True, "passed": "1"},
        ):
            add_event(session, envelope(kind, at=at, data=data, actor=7, provenance=[], source=None))
    base = f"/v1/sessions/{session.id}"
    for what in ("analytics", "artifacts", "timeline", "recent-activity", "export"):
        assert reviewer.get(f"{base}/{what}").status_code == 200


# The cohort of a session


def test_a_session_is_compared_with_its_cohort(reviewer, assessment):
    make_closed_session(assessment, *prompts(2))
    session = make_closed_session(assessment, *prompts(5))
    found = ok(reviewer.get(f"/v1/sessions/{session.id}/cohort-stats"))
    whole = ok(reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats", sessionId=session.id))
    assert found == whole
    assert found["cohortStats"]["percentiles"]["promptCount"] == 1.0


def test_an_open_session_is_not_part_of_its_cohort(reviewer, assessment, session):
    path = f"/v1/sessions/{session.id}/cohort-stats"
    assert ok(reviewer.get(path)) == {"cohortStats": None}
    for _ in range(2):
        make_closed_session(assessment, *prompts(2))
    assert "percentiles" not in ok(reviewer.get(path))["cohortStats"]


def test_a_session_whose_limit_has_passed_is_part_of_its_cohort(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=1)
    first, _ = (make_session(make_key(assessment)) for _ in range(2))
    clock.fixed += timedelta(minutes=6)
    found = ok(reviewer.get(f"/v1/sessions/{first.id}/cohort-stats"))["cohortStats"]
    assert found["sessionCount"] == 2
    assert "percentiles" in found


# The organization


def test_an_organization_without_candidates_has_an_empty_overview(reviewer):
    found = ok(reviewer.get(OVERVIEW))
    assert found["funnel"] == {"invited": 0, "redeemed": 0, "completed": 0, "hired": 0}
    assert found["medians"] == dict.fromkeys(MEDIANS)
    assert found["byAssessment"] == found["byMonth"] == []


@pytest.fixture
def candidates(clock, organization):
    """Two assessments: one of March with a candidate who never came, one of April with four in each state."""
    march = make_assessment(organization, title="March")
    clock.fixed -= timedelta(days=1)
    make_key(march)
    clock.fixed += timedelta(days=1)
    april = make_assessment(organization, title="April", time_limit_minutes=60)
    make_key(april)
    make_session(make_key(april))
    make_closed_session(april, *prompts(2, 10))
    sessions.mark_hired(make_closed_session(april, *prompts(4, 30)), True)
    return march, april


def test_the_funnel_narrows_by_assessment_and_by_month(reviewer, candidates):
    march, april = candidates
    found = ok(reviewer.get(OVERVIEW))
    one, four = (
        {"invited": 1, "redeemed": 0, "completed": 0, "hired": 0},
        {"invited": 4, "redeemed": 3, "completed": 2, "hired": 1},
    )
    assert found["funnel"] == {"invited": 5, "redeemed": 3, "completed": 2, "hired": 1}
    members = ("assessmentId", "assessmentTitle", "funnel")
    by_assessment = [tuple(group[name] for name in members) for group in found["byAssessment"]]
    assert by_assessment == [(str(march.id), "March", one), (str(april.id), "April", four)]
    assert [(group["month"], group["funnel"]) for group in found["byMonth"]] == [
        ("2026-03", one),
        ("2026-04", four),
    ]


def test_medians_are_those_of_closed_sessions(reviewer, candidates):
    found = ok(reviewer.get(OVERVIEW))
    assert (found["medians"]["promptCount"], found["medians"]["durationMs"]) == (3.0, 20_000)
    assert found["medians"]["firstChangeLatencyMs"] is None
    empty, full = found["byMonth"]
    assert (empty["medians"], full["medians"]) == (dict.fromkeys(MEDIANS), found["medians"])


def test_the_median_of_three_is_the_one_in_the_middle(reviewer, assessment):
    for count in (9, 2, 3):
        make_closed_session(assessment, *prompts(count))
    assert ok(reviewer.get(OVERVIEW))["medians"]["promptCount"] == 3.0


def test_an_overview_closes_what_is_due(clock, reviewer, candidates):
    clock.fixed += timedelta(hours=2)
    assert ok(reviewer.get(OVERVIEW))["medians"]["promptCount"] == 2.0


def test_an_overview_of_one_assessment(reviewer, candidates):
    found = ok(reviewer.get(OVERVIEW, assessmentId=candidates[0].id))
    assert found["funnel"]["invited"] == 1
    assert len(found["byAssessment"]) == len(found["byMonth"]) == 1
    assert places(reviewer.get(OVERVIEW, assessmentId="nonsense")) == [["assessmentId"]]


def test_a_hired_candidate_whose_time_ran_out_has_come_through_the_whole_funnel(
    clock, reviewer, organization
):
    session = make_session(make_key(make_assessment(organization, time_limit_minutes=1)))
    clock.fixed += timedelta(minutes=6)
    sessions.mark_hired(session, True)
    assert set(ok(reviewer.get(OVERVIEW))["funnel"].values()) == {1}


def test_a_key_that_was_revoked_unused_was_no_invitation(reviewer, assessment):
    unused, used = make_keys(assessment, 2)
    make_session(used)
    for key in (unused, used):
        key.revoke()
    assert ok(reviewer.get(OVERVIEW))["funnel"] == {"invited": 1, "redeemed": 1, "completed": 0, "hired": 0}


def test_overviews_are_the_organizations_own_without_deleted_assessments(reviewer, neighbour, candidates):
    assert ok(neighbour.get(OVERVIEW))["funnel"]["invited"] == 0
    candidates[1].delete_softly()
    found = ok(reviewer.get(OVERVIEW))
    assert (found["funnel"]["invited"], found["medians"]["promptCount"]) == (1, None)


# The top


def names(found):
    return [candidate["candidateName"] for candidate in found["candidates"]]


def closed(assessment, name, *events):
    session = make_session(make_key(assessment, name=name))
    for event in events:
        add_event(session, event)
    sessions.complete(session)
    return session


def test_candidates_are_sorted_by_the_metric_that_the_reviewer_chooses(
    clock, reviewer, organization, assessment
):
    other = make_assessment(organization)
    session = closed(assessment, "four", *prompts(4))
    closed(other, "nine", *prompts(9))
    closed(assessment, "two", *prompts(2))
    found = ok(reviewer.get(TOP, metric="promptCount"))
    assert names(found) == ["nine", "four", "two"]
    assert found["metric"] == "promptCount"
    assert found["candidates"][1] == {
        "sessionId": str(session.id),
        "candidateId": str(session.key_id),
        "candidateName": "four",
        "candidateEmail": "alice@example.com",
        "assessmentId": str(assessment.id),
        "assessmentTitle": "Backend API Challenge",
        "status": "completed",
        "completedAt": "2026-04-01T09:00:00.000Z",
        "value": 4,
        "percentile": 1.0,
    }
    assert [candidate["percentile"] for candidate in found["candidates"]] == [None, 1.0, 0.0]


def test_percentiles_of_the_top_are_those_of_the_cohort(reviewer, assessment):
    for count in (1, 2, 2, 5):
        closed(assessment, str(count), *prompts(count))
    for candidate in ok(reviewer.get(TOP, metric="promptCount"))["candidates"]:
        whole = ok(reviewer.get(f"/v1/sessions/{candidate['sessionId']}/cohort-stats"))["cohortStats"]
        assert candidate["percentile"] == whole["percentiles"]["promptCount"]


def test_of_failures_the_lowest_rate_comes_first(reviewer, assessment):
    for name, codes in {"half": (0, 1), "all": (1, 1), "none": (0, 0)}.items():
        closed(assessment, name, *(command(at, "ls", code) for at, code in enumerate(codes)))
    found = ok(reviewer.get(TOP, metric="commandFailRate"))
    assert names(found) == ["none", "half", "all"]
    assert [candidate["value"] for candidate in found["candidates"]] == [0.0, 0.5, 1.0]
    assert [candidate["percentile"] for candidate in found["candidates"]] == [1.0, 0.5, 0.0]


def test_sessions_without_a_value_and_open_ones_are_left_out(reviewer, assessment):
    closed(assessment, "no change", *prompts(2))
    make_session(make_key(assessment, name="open"))
    assert ok(reviewer.get(TOP, metric="firstChangeLatencyMs"))["candidates"] == []
    assert names(ok(reviewer.get(TOP, metric="promptCount"))) == ["no change"]


def test_the_top_can_be_limited_and_of_one_assessment(reviewer, organization, assessment):
    for count in (3, 2, 1):
        closed(assessment, str(count), *prompts(count))
    closed(make_assessment(organization), "elsewhere", *prompts(9))
    assert names(ok(reviewer.get(TOP, metric="promptCount", limit=2, assessmentId=assessment.id))) == [
        "3",
        "2",
    ]
    assert len(names(ok(reviewer.get(TOP, metric="promptCount", limit=0)))) == 1


def test_there_is_no_top_without_a_choice(reviewer):
    assert places(reviewer.get(TOP)) == [["metric"]]
    assert places(reviewer.get(TOP, metric="score")) == [["metric"]]


def test_nobody_elses_candidates_are_in_the_top(reviewer, assessment):
    closed(make_assessment(make_organization("Elsewhere")), "theirs", *prompts(2))
    closed(assessment, "deleted", *prompts(2))
    assessment.delete_softly()
    assert ok(reviewer.get(TOP, metric="promptCount"))["candidates"] == []


@pytest.mark.parametrize("path", [OVERVIEW, TOP])
def test_numbers_are_for_reviewers(anonymous, candidate, reader, path):
    assert refusal(anonymous.get(path)) == (401, "unauthorized")
    assert refusal(candidate.get(path)) == (401, "unauthorized")
    assert reader.get(path, metric="promptCount").status_code == 200
