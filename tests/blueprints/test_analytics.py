"""Analytics for a session and for the organization (R17, R19 to R22, docs/metrics.md)."""

from datetime import timedelta

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_key,
    make_model_call,
    make_rubric,
    make_session,
    mark_hired,
)
from response_checks import body_of, error_paths

from rules.statistics.cohorts import METRICS

OVERVIEW = "/v1/analytics/overview"
PROGRESS = "/v1/analytics/progress"
NO_MEDIANS = dict.fromkeys(metric.name for metric in METRICS)


def get(reviewer, path, **query):
    return body_of(reviewer.get(path, **query))


def analyze(reviewer, session):
    return get(reviewer, f"/v1/sessions/{session.id}/analytics")


def prompts(count, seconds=60):
    """Return `count` prompts spread over `seconds`."""
    return [envelope("prompt", at=number * seconds / max(count - 1, 1)) for number in range(count)]


def command(at, text, exit_code, **data):
    return envelope("command", at=at, data={"command": text, "exitCode": exit_code} | data)


# A session


def test_session_without_events(reviewer, session):
    analysis = analyze(reviewer, session)
    assert {phase["share"] for phase in analysis["phases"]} == {None}
    assert (analysis["elapsedMs"], analysis["totalCostUsd"]) == (0, None)
    assert (analysis["longestPauseMs"], analysis["longestBreakMs"]) == (300_000, 1_800_000)
    assert analysis["turns"] == analysis["workPeriods"] == analysis["errorEpisodes"] == []


def test_open_session_is_analyzed_from_its_current_events(reviewer, session):
    add_event(session, envelope("prompt", at=0, id="p", data={"text": "Fix it"}))
    add_event(session, envelope("file_read", at=10))
    add_event(session, envelope("file_diff", at=40))
    analysis = analyze(reviewer, session)
    phases = analysis["phases"]
    assert [(phase["name"], phase["events"], phase["timeMs"], phase["share"]) for phase in phases] == [
        ("prompting", 1, 0, 0.0),
        ("reading", 1, 10_000, 0.25),
        ("changing", 1, 30_000, 0.75),
        ("verifying", 0, 0, 0.0),
        ("other", 0, 0, 0.0),
    ]
    times = {"beganAt": "2026-04-01T09:00:00.000Z", "endedAt": "2026-04-01T09:00:40.000Z"}
    counts = {"events": 3, "prompts": 1, "changes": 1, "commands": 0, "failedCommands": 0}
    assert (analysis["elapsedMs"], analysis["activeMs"], analysis["idleMs"]) == (40_000, 40_000, 0)
    turn = {"eventId": "p", "firstPrompt": "Fix it", "durationMs": 40_000} | times | counts
    assert analysis["turns"] == analysis["workPeriods"] == [turn]


def test_phase_spans_and_verifications(reviewer, session):
    for event in (
        envelope("prompt", at=0, id="p"),
        command(10, "go test ./...", 1) | {"id": "c"},
        envelope("test_run", at=12, id="t", data={"passed": 2, "failed": 0}),
        envelope("build_run", at=12, id="u"),
        command(20, "git push", 0),
    ):
        add_event(session, event)
    analysis = analyze(reviewer, session)
    start, middle, end = (f"2026-04-01T09:00:{second}.000Z" for second in ("00", "12", "20"))
    assert analysis["phaseSpans"] == [
        {"name": "verifying", "beganAt": start, "endedAt": middle},
        {"name": "other", "beganAt": middle, "endedAt": end},
    ]
    kinds = {"c": ("test", False), "t": ("test", True), "u": ("build", None)}
    assert {run["eventId"]: (run["kind"], run["passed"]) for run in analysis["verifications"]} == kinds


def test_calls_tokens_and_cost_are_totaled_by_tool_and_model(reviewer, session):
    tokens = {"inputTokens": 10, "outputTokens": 20, "cacheReadTokens": 30, "cacheWriteTokens": 40}
    usage = tokens | {"model": "claude-x", "totalCost": 0.25}
    for kind, data in [
        *[("ai_response", usage)] * 2,
        ("ai_response", {"model": "unknown", "outputTokens": 1}),
        ("tool_intent", {"toolName": "Read"}),
        *[("tool_intent", {"toolName": "Bash"})] * 2,
    ]:
        add_event(session, envelope(kind, source="claude-code", data=data))
    analysis = analyze(reviewer, session)
    assert analysis["tools"] == [{"name": "Bash", "calls": 2}, {"name": "Read", "calls": 1}]
    used = {"input": 20, "output": 40, "cacheRead": 60, "cacheWrite": 80}
    unknown = dict.fromkeys(used, 0) | {"output": 1}
    assert analysis["models"] == [
        {"model": "claude-x", "responses": 2, "tokens": used, "costUsd": 0.5},
        {"model": "unknown", "responses": 1, "tokens": unknown, "costUsd": None},
    ]
    assert analysis["totalCostUsd"] is None


def test_proxy_usage_is_totaled_by_model(reviewer, session, clock):
    for provider, model, status, counts in [
        ("anthropic", "claude-haiku-4-5", 200, {"input": 1000, "output": 100, "cacheRead": 10}),
        ("anthropic", "claude-haiku-4-5", 200, {"input": 1, "output": 2}),
        ("anthropic", None, 529, {}),
        ("openai", "future-model", 200, {"input": 5, "output": 5}),
    ]:
        make_model_call(session, model, counts, provider, status_code=status)
    usage = {row["model"]: row for row in analyze(reviewer, session)["proxyUsage"]}
    haiku = usage["claude-haiku-4-5"]
    assert (haiku["calls"], haiku["inputTokens"], haiku["outputTokens"]) == (2, 1001, 102)
    assert haiku["costUsd"] > 0
    assert (usage[None]["calls"], usage[None]["inputTokens"]) == (1, None)
    # OpenAI's highest listed prices are $30 and $180 per million tokens.
    assert (usage["future-model"]["inputTokens"], usage["future-model"]["costUsd"]) == (5, 0.00105)


def test_error_episode_includes_failures_and_outcome(reviewer, session):
    first = command(0, "go test ./...", 1, stdout="ok a\nFAIL b\nFAIL", stderr="")
    last, success = command(45, "go test ./...", 1, stdout="FAIL"), command(90, "go test ./...", 0)
    for event in (first, envelope("file_diff", at=30), last, envelope("prompt", at=60), success):
        add_event(session, event)
    checks = {
        "firstFailure": (first, "2026-04-01T09:00:00.000Z", "ok a / FAIL b / FAIL"),
        "lastFailure": (last, "2026-04-01T09:00:45.000Z", "FAIL"),
        "endedBy": (success, "2026-04-01T09:01:30.000Z", None),
    }
    episode = {
        name: {"eventId": event["id"], "ts": ts, "command": "go test ./...", "output": output}
        for name, (event, ts, output) in checks.items()
    }
    episode |= {"ending": "fixed", "failureCount": 2, "durationMs": 90_000, "changes": 1, "prompts": 1}
    assert analyze(reviewer, session)["errorEpisodes"] == [episode]


def test_malformed_events_can_be_read(reviewer, session):
    malformed = {"text": 5, "path": [], "command": {}, "todos": [None, 3], "exitCode": True, "passed": "1"}
    kinds = "prompt command file_diff planning ai_response test_run editor_edit tool_use unknown"
    for at, kind in enumerate(kinds.split()):
        for data in ({}, malformed):
            add_event(session, envelope(kind, at=at, data=data, actor=7, provenance=[], source=None))
    for resource in ("analytics", "artifacts", "timeline", "recent-activity", "export"):
        assert reviewer.get(f"/v1/sessions/{session.id}/{resource}").status_code == 200


# A session's cohort


def test_closed_session_is_compared_with_its_cohort(reviewer, assessment, session):
    path = f"/v1/sessions/{session.id}/cohort-stats"
    assert get(reviewer, path) == {"cohortStats": None}
    closed = [make_closed_session(assessment, *prompts(count)) for count in (2, 5)]
    assert "percentiles" not in get(reviewer, path)["cohortStats"]
    stats = get(reviewer, f"/v1/sessions/{closed[1].id}/cohort-stats")
    assert stats == get(reviewer, f"/v1/assessments/{assessment.id}/cohort-stats", sessionId=closed[1].id)
    assert stats["cohortStats"]["percentiles"]["promptCount"] == 1.0


def test_session_past_its_limit_is_included_in_its_cohort(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=1)
    first, _ = (make_session(make_key(assessment)) for _ in range(2))
    clock.fixed += timedelta(minutes=6)
    stats = get(reviewer, f"/v1/sessions/{first.id}/cohort-stats")["cohortStats"]
    assert stats["sessionCount"] == 2
    assert "percentiles" in stats


# Overview


def funnel(*counts):
    return dict(zip(("invited", "redeemed", "completed", "reviewed", "hired"), counts, strict=True))


@pytest.fixture
def candidates(clock, organization):
    """An assessment with one candidate invited in March, and one with four candidates invited in April."""
    march = make_assessment(organization, title="March")
    clock.fixed -= timedelta(days=1)
    make_key(march)
    clock.fixed += timedelta(days=1)
    april = make_assessment(organization, title="April", time_limit_minutes=60)
    make_key(april)
    make_session(make_key(april))
    make_closed_session(april, *prompts(2, 10))
    mark_hired(make_closed_session(april, *prompts(4, 30)), True)
    return march, april


def test_overview_without_candidates_is_empty(reviewer):
    overview = get(reviewer, OVERVIEW)
    assert overview["funnel"] == funnel(0, 0, 0, 0, 0)
    assert overview["medians"] == NO_MEDIANS
    assert overview["byAssessment"] == overview["byMonth"] == []


def test_overview_is_grouped_by_assessment_and_by_month(reviewer, candidates):
    overview = get(reviewer, OVERVIEW)
    assert overview["funnel"] == funnel(5, 3, 2, 1, 1)
    by_assessment = [(group["assessmentId"], group["assessmentTitle"]) for group in overview["byAssessment"]]
    assert by_assessment == [(str(row.id), row.title) for row in candidates]
    assert [group["month"] for group in overview["byMonth"]] == ["2026-03", "2026-04"]
    medians = overview["medians"]
    assert (medians["promptCount"], medians["durationMs"]) == (3.0, 20_000)
    assert medians["firstChangeLatencyMs"] is None
    for groups in (overview["byAssessment"], overview["byMonth"]):
        assert [group["funnel"] for group in groups] == [funnel(1, 0, 0, 0, 0), funnel(4, 3, 2, 1, 1)]
        assert [group["medians"] for group in groups] == [NO_MEDIANS, medians]


def test_overview_closes_sessions_past_their_limit(clock, reviewer, candidates):
    clock.fixed += timedelta(hours=2)
    assert get(reviewer, OVERVIEW)["medians"]["promptCount"] == 2.0


def test_overview_can_be_limited_to_one_assessment(reviewer, candidates):
    overview = get(reviewer, OVERVIEW, assessmentId=candidates[0].id)
    assert overview["funnel"]["invited"] == 1
    assert len(overview["byAssessment"]) == len(overview["byMonth"]) == 1
    assert error_paths(reviewer.get(OVERVIEW, assessmentId="nonsense")) == [["assessmentId"]]


def test_funnel_includes_hired_candidates_and_excludes_unused_revoked_keys(
    clock, reviewer, organization, assessment
):
    session = make_session(make_key(make_assessment(organization, time_limit_minutes=1)))
    clock.fixed += timedelta(minutes=6)
    mark_hired(session, True)
    assert get(reviewer, OVERVIEW)["funnel"] == funnel(1, 1, 1, 1, 1)
    unused, used = make_key(assessment), make_key(assessment)
    make_session(used)
    for key in (unused, used):
        key.revoke()
    assert get(reviewer, OVERVIEW)["funnel"] == funnel(2, 2, 1, 1, 1)


def test_overview_excludes_other_organizations_and_deleted_assessments(reviewer, neighbour, candidates):
    assert get(neighbour, OVERVIEW)["funnel"]["invited"] == 0
    candidates[1].soft_delete()
    overview = get(reviewer, OVERVIEW)
    assert (overview["funnel"]["invited"], overview["medians"]["promptCount"]) == (1, None)


# Progress


@pytest.fixture
def scored(organization):
    """A closed session whose assessment has a rubric with three levels."""
    levels = [{"value": value, "label": f"Level {value}"} for value in (1, 2, 3)]
    criterion = {"key": "quality", "title": "Quality", "weight": 1, "levels": levels}
    rubric = make_rubric(organization, criteria=[criterion])
    assessment = make_assessment(organization, title="Scored", rubric_id=rubric.id)
    return make_closed_session(assessment, *prompts(1))


def progress(reviewer):
    return get(reviewer, PROGRESS)["assessments"]


def waiting(reviewer):
    (row,) = progress(reviewer)
    return tuple(row["waiting"].values())


def score(caller, session, value):
    assert caller.put(f"/v1/sessions/{session.id}/scores/quality", {"value": value}).status_code == 200


def test_progress_includes_the_funnel_for_each_assessment(reviewer, neighbour, candidates):
    march, april = candidates
    rows = [(row["assessmentId"], row["funnel"]) for row in progress(reviewer)]
    assert rows == [(str(march.id), funnel(1, 0, 0, 0, 0)), (str(april.id), funnel(4, 3, 2, 1, 1))]
    assert progress(neighbour) == []
    april.soft_delete()
    assert [row["assessmentId"] for row in progress(reviewer)] == [str(march.id)]


def test_progress_counts_unscored_sessions_and_disagreements(app, reviewer, organization, scored):
    make_session(make_key(scored.assessment))
    assert waiting(reviewer) == (1, 0, 0)
    score(reviewer, scored, 1)
    assert waiting(reviewer) == (0, 0, 0)
    assert progress(reviewer)[0]["funnel"] == funnel(2, 2, 1, 1, 0)
    colleague = Caller.reviewer(app, organization, name="Bob")
    score(colleague, scored, 3)
    assert waiting(reviewer) == (0, 1, 0)
    score(colleague, scored, 2)
    assert waiting(reviewer) == (0, 0, 0)


def test_decided_candidate_is_not_waiting(reviewer, scored):
    path = f"/v1/candidates/{scored.key_id}/decision"
    assert reviewer.put(path, {"decision": "rejected"}).status_code == 200
    assert waiting(reviewer) == (0, 0, 0)
    assert progress(reviewer)[0]["funnel"] == funnel(1, 1, 1, 1, 0)
