"""Blind scoring: people see the candidate's identity and other people's scores only after scoring (R41)."""

import re
from typing import Any

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_key,
    make_person,
    make_rubric,
    make_session,
    make_webhook,
)
from response_checks import body_of, error_paths

from models import Delivery, WebhookDelivery, db, sessions
from models.webhooks.outbox import publish_new
from rules.roles import ROLES
from schemas.results import SORTS
from tests.access.rows import ROWS
from tests.hostile.operations import LEVELS, fill

NAME, EMAIL = "Zebulon Quartermain", "zq@quartermain.example"
TRACES = ("zebulon", "quartermain")
ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def key(organization):
    rubric = make_rubric(organization)
    return make_key(make_assessment(organization, rubric_id=rubric.id, blind=True), EMAIL, NAME)


@pytest.fixture
def names(names, organization, key, session):
    """A row of each resource, with the candidate's name wherever possible."""
    hook = make_webhook(organization, include_personal=True)
    for second in (1, 2):
        add_event(session, envelope(at=second))
    sessions.complete(session)
    sessions.close_due(session)
    publish_new()
    is_about_key = WebhookDelivery.candidate_id == key.id
    WebhookDelivery.update(answer=f"Welcome, {NAME}").where(is_about_key).execute()
    Delivery.update(last_error=f"550 {EMAIL} is unknown").where(Delivery.id == key.invitation_id).execute()
    # A hiring decision would reveal the scores.
    key.update_columns(decision="undecided", decision_reason=None, decided_at=None, decided_by=None)
    return names | {"name": "start.js", "webhook_id": hook.id, "assessment_id": key.assessment_id}


@pytest.fixture
def person(app, organization):
    return Caller.person(app, make_person(organization))


def contains_any(response, *traces):
    return any(trace in response.text.casefold() for trace in traces)


def read_all(caller, names):
    """Return the lowercase response text of each GET, by route."""
    reads = {route: row.query for route, row in ROWS.items() if route.startswith("GET /v1/")}
    return {
        route: caller.get(fill(route.split(" ")[1], names), **fill(query, names)).text.casefold()
        for route, query in reads.items()
        if "consent" not in route
    }


def routes_with(traces, texts):
    return {route for route, text in texts.items() if any(trace in text for trace in traces)}


# As a control, routes that return names, keys and scores to a service account
WITH_NAME = {
    "GET /v1/assessments/<assessment_id>/keys",
    "GET /v1/assessments/<assessment_id>/results",
    "GET /v1/assessments/<assessment_id>/results/export",
    "GET /v1/results",
    "GET /v1/candidates",
    "GET /v1/candidates/<candidate_id>",
    "GET /v1/candidates/<candidate_id>/deliveries",
    "GET /v1/deliveries",
    "GET /v1/sessions",
    "GET /v1/sessions/<session_id>",
    "GET /v1/sessions/<session_id>/export",
    "GET /v1/webhooks/<webhook_id>/deliveries",
}
WITH_KEY = {
    "GET /v1/assessments/<assessment_id>/keys",
    "GET /v1/candidates",
    "GET /v1/candidates/<candidate_id>",
}

WITH_SCORES = {
    "GET /v1/assessments/<assessment_id>/results",
    "GET /v1/assessments/<assessment_id>/results/export",
    "GET /v1/assessments/<assessment_id>/reviewers",
    "GET /v1/events",
    "GET /v1/results",
    "GET /v1/sessions/<session_id>/scores",
    "GET /v1/webhooks/<webhook_id>/deliveries",
}
# People cannot sort a blind assessment by name.
OPEN_SORTS = set(SORTS) - {"candidateName"}
RESULT_LISTS = ("/v1/assessments/<assessment_id>/results", "/v1/results")
# Work that waits for reviewers, which excludes decided candidates
WAITING = {
    "GET /v1/analytics/progress",
    "GET /v1/assessments/<assessment_id>/results/views",
    "GET /v1/results/views",
    "GET /v1/todo",
    *(f"{path}?view=disagreement" for path in RESULT_LISTS),
}
DERIVED_FROM_SCORES = (
    WITH_SCORES | WAITING | {f"{path}?sort={sort}" for path in RESULT_LISTS for sort in OPEN_SORTS}
)


@pytest.mark.slow
def test_no_read_identifies_the_candidate(reviewer, person, names, key):
    key_text = key.key.casefold()
    assert routes_with((*TRACES, key_text), read_all(person, names)) == set()
    texts = read_all(reviewer, names)
    assert routes_with(TRACES, texts) >= WITH_NAME
    assert routes_with((key_text,), texts) >= WITH_KEY


@pytest.mark.slow
def test_a_person_sees_the_candidate_after_scoring_every_criterion(reviewer, person, names):
    path = f"/v1/sessions/{names['session_id']}/scores/quality"
    assert person.put(path, {"value": 1}).status_code == 200
    assert routes_with(TRACES, read_all(person, names)) == routes_with(TRACES, read_all(reviewer, names))
    # The name stays visible.
    assert person.delete(path).status_code == 200
    assert contains_any(person.get("/v1/candidates"), *TRACES)


@pytest.mark.slow
@pytest.mark.parametrize("role", ["admin", "reviewer"])
def test_no_read_shows_other_scores(app, organization, reviewer, names, session, role):
    levels = [{"value": value, "label": "Level"} for value in (1, 1_000)]
    criteria = [{"key": key, "title": key, "weight": 1, "levels": levels} for key in ("quality", "tests")]
    session.assessment.rubric.apply_changes({"criteria": criteria})
    ann, bob = (Caller.person(app, make_person(organization, role, name=name)) for name in ("Ann", "Bob"))
    for key in ("quality", "tests"):
        score = {"value": 987, "comment": "Xylophone", "reason": "Xylophone"}
        assert ann.put(f"/v1/sessions/{session.id}/scores/{key}", score).status_code == 200
    publish_new()
    # Value or mean, total, comment and reason.
    scored = re.compile(r"\b987\b|\b1974\b|xylophone")
    for caller, expected in ((bob, set()), (reviewer, WITH_SCORES)):
        assert {
            route for route, text in read_all(caller, names).items() if scored.search(re.sub(ID, "", text))
        } == expected


# Each makes the scores of a session visible to Bob.
REVEALING: dict[str, Any] = {
    "scoring": lambda bob, ann, session: give_scores(bob, session, 500),
    "a decision": lambda bob, ann, session: decide(ann, session, "advanced"),
    "an undone decision": lambda bob, ann, session: [
        decide(ann, session, decision) for decision in ("rejected", "undecided")
    ],
    "choosing the session": lambda bob, ann, session: body_of(
        bob.post(f"/v1/sessions/{session.id}/scores/reveal")
    ),
    "choosing the assessment": lambda bob, ann, session: body_of(
        bob.post(f"/v1/assessments/{session.assessment_id}/scores/reveal")
    ),
}
# Ann's and Carol's scores of two sessions. Only the first ones disagree, and the totals' order differs.
SCORES = ({"Ann": (1, 1_000), "Carol": (1_000, 1_000)}, {"Ann": (1_000, 1), "Carol": (1_000, 500)})


def give_scores(caller, session, value):
    values = {"quality": value, "tests": value, "recommendation": min(value, 4)}
    scores = [{"criterion": key, "value": each, "comment": str(value)} for key, each in values.items()]
    body_of(caller.put(f"/v1/sessions/{session.id}/scores", {"scores": scores}))


def decide(caller, session, decision):
    body_of(caller.put(f"/v1/candidates/{session.key_id}/decision", {"decision": decision}))


@pytest.mark.slow
@pytest.mark.usefixtures("clock")
def test_no_read_depends_on_hidden_scores(app, organization, reviewer, names, session):
    """Not by values, totals, spreads, comments, counts, filters or the order, until the scores are visible."""
    levels = [{"value": value, "label": "Level"} for value in (1, 500, 1_000)]
    criteria = [{"key": key, "title": key, "weight": 1, "levels": levels} for key in ("quality", "tests")]
    session.assessment.rubric.apply_changes({"criteria": criteria})
    both = (session, make_session(make_key(session.assessment, "other@quartermain.example")))
    sessions.complete(both[1])
    ann, bob, carol = (
        Caller.person(app, make_person(organization, role, name=name))
        for name, role in (("Ann", "reviewer"), ("Bob", "admin"), ("Carol", "reviewer"))
    )
    known_ids = {str(each) for row in both for each in (row.id, row.key_id)}

    def read(caller, scores, reveal):
        """Return the responses to all GETs without new ids, and roll the scores back."""
        with db.atomic() as undone:
            for number, each in enumerate(both):
                give_scores(ann, each, scores["Ann"][number])
                give_scores(carol, each, scores["Carol"][number])
                reveal(bob, ann, each)
            publish_new()
            texts = read_all(caller, names)
            for path in RESULT_LISTS:
                for sort in OPEN_SORTS:
                    rows = caller.get(fill(path, names), sort=sort, order="desc")
                    texts[f"{path}?sort={sort}"] = rows.text
                waiting = caller.get(fill(path, names), view="disagreement")
                texts[f"{path}?view=disagreement"] = waiting.text
            undone.rollback()
        return {
            route: re.sub(ID, lambda found: found[0] if found[0] in known_ids else "new", text)
            for route, text in texts.items()
        }

    def dependent(caller, reveal=lambda *_: None):
        """Return the routes whose responses depend on Ann's and Carol's scores."""
        first, second = (read(caller, scores, reveal) for scores in SCORES)
        return {route for route, text in first.items() if text != second[route]}

    assert dependent(bob) == set()
    assert dependent(reviewer) == DERIVED_FROM_SCORES
    revealed = {name: dependent(bob, reveal) for name, reveal in REVEALING.items()}
    assert revealed.pop("a decision") == DERIVED_FROM_SCORES - WAITING
    assert revealed == dict.fromkeys(revealed, DERIVED_FROM_SCORES)


def test_other_sessions_and_people_stay_blind(app, organization, person, key, session):
    other = make_session(make_key(key.assessment, "other@quartermain.example", "Other"))
    colleague = Caller.person(app, make_person(organization, name="Carol"))
    keys = ("quality", "tests")
    criteria = [{"key": key, "title": key, "weight": 1, "levels": LEVELS} for key in keys]
    session.assessment.rubric.apply_changes({"criteria": criteria})
    for criterion, name in (("tests", None), ("quality", NAME)):
        assert person.put(f"/v1/sessions/{session.id}/scores/{criterion}", {"value": 1}).status_code == 200
        assert person.get(f"/v1/sessions/{session.id}").json["candidateName"] == name
    assert person.get(f"/v1/sessions/{other.id}").json["candidateName"] is None
    assert colleague.get(f"/v1/sessions/{session.id}").json["candidateName"] is None
    candidates = person.get("/v1/candidates").json["candidates"]
    assert [candidate["candidateName"] for candidate in candidates] == [NAME, None]


@pytest.mark.usefixtures("session")
def test_search_ignores_hidden_names(reviewer, person):
    for text, total in (("zebulon", 0), ("@", 0), ("", 0)):
        assert person.get("/v1/candidates", q=text).json["total"] == total
    assert reviewer.get("/v1/candidates", q="zebulon").json["total"] == 1


def test_updates_do_not_reveal_hidden_names(person, names, key):
    path = f"/v1/candidates/{key.id}"
    assert not contains_any(person.patch(path, {"metadata": {}}), *TRACES)
    assert not contains_any(person.post(f"{path}/allow-redeem"), *TRACES)
    body = {"count": 1, "candidateEmails": [EMAIL], "onDuplicate": "return"}
    response = person.post(f"/v1/assessments/{key.assessment_id}/keys", body)
    assert response.json["keys"][0]["candidateName"] is None


def test_hidden_names_cannot_be_updated(person, reviewer, key):
    path = f"/v1/candidates/{key.id}"
    for field, value in (("candidateEmail", "mine@example.com"), ("candidateName", "Mine")):
        assert error_paths(person.patch(path, {field: value})) == [[field]]
    blind = person.get(path).json["candidate"]  # name and email are null
    assert person.patch(path, blind | {"metadata": {"stage": "2"}}).status_code == 200
    candidate = reviewer.get(path).json["candidate"]
    fields = ("candidateName", "candidateEmail", "metadata")
    assert [candidate[field] for field in fields] == [NAME, EMAIL, {"stage": "2"}]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_blind(app, organization, key, session, role):
    caller = Caller.person(app, make_person(organization, role))
    for path in ("/v1/candidates", f"/v1/sessions/{session.id}", "/v1/sessions"):
        assert not contains_any(caller.get(path), *TRACES, key.key.casefold())


def test_blind_can_be_set_and_updated(reviewer, candidate, key, person, session):
    path = f"/v1/assessments/{key.assessment_id}"
    assert reviewer.get(path).json["assessment"]["blind"] is True
    assert "blind" not in candidate.get(path).json["assessment"]
    assert candidate.get("/v1/candidate/me").json["name"] == NAME
    assert body_of(reviewer.patch(path, {"blind": False}))["assessment"]["blind"] is False
    assert person.get(f"/v1/sessions/{session.id}").json["candidateName"] == NAME
    body = {"title": "One", "role": "Engineer", "taskBrief": "Fix it."}
    for blind in (True, False):
        created = reviewer.post("/v1/assessments", body | {"blind": blind})
        assert created.json["assessment"]["blind"] is blind
    assert reviewer.post("/v1/assessments", body).json["assessment"]["blind"] is False
