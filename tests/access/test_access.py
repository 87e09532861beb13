"""Who may call what: a row for each route and method, a column for each caller (R1 to R3).

A route without a row fails here, so that nobody forgets to say who may use it.
"""

import re
from typing import Any, NamedTuple

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_issue,
    make_key,
    make_rubric,
    make_session,
    make_webhook,
)

from blueprints import openapi
from models import ApiToken, Consent, db
from models.webhooks import outbox
from schemas.base import camel

NAME = re.compile(r"<(\w+)>")
CONVERTER = re.compile(r"<\w+(\([^)]*\))?:")
CALLERS = ("reviewer", "reader", "candidate", "outsider", "neighbour", "revoked", "anonymous")
ALL = "200 200 200 200 200 200 200"
READ = "200 200 401 401 200 401 401"
READ_ONE = "200 200 401 401 404 401 401"
CANDIDATE_TOO = "200 200 200 404 404 401 401"
PROXY = "401 401 403 403 401 401 401"  # no provider is set up
UNKNOWN_TO_PROXY = "401 401 404 404 401 401 401"
CANDIDATE_ONLY = "401 401 200 200 401 401 401"
OWN_SESSION = "401 401 200 404 401 401 401"
NO_BUNDLE = "404 404 401 401 404 401 401"
CREATE = "201 403 401 401 201 401 401"
REDEEMED = "409 403 401 401 404 401 401"
QUEUE = "202 403 401 401 404 401 401"
CHANGE = "200 403 401 401 404 401 401"


class Row(NamedTuple):
    """The statuses in the order of CALLERS, and what is sent. In query and body `<name>` stands for an id or key."""

    statuses: str
    body: dict[str, Any] | None = None
    query: dict[str, str] = {}


NEW_ASSESSMENT = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it."}
NEW_ISSUE = {"title": "One more", "taskBrief": "Fix it."}
LEVELS = [{"value": 0, "label": "Weak"}, {"value": 1, "label": "Strong"}]
NEW_RUBRIC = {"name": "One more", "criteria": [{"key": "quality", "title": "Quality", "levels": LEVELS}]}

SUBMISSION = {"sessionId": "<session_id>", "bundleKey": "x", "bundleSize": 1, "bundleSha256": "0" * 64}

ROWS = {
    "GET /": Row(ALL),
    "GET /docs": Row(ALL),
    "GET /docs/<name>": Row(ALL),
    "GET /openapi.json": Row(ALL),
    "GET /pages/<name>": Row(ALL),
    "GET /replay/<session_id>": Row(ALL),
    "GET /start": Row(ALL),
    "GET /v1/health": Row(ALL),
    "GET /v1/ready": Row(ALL),
    "GET /v1/assessments": Row(READ),
    "POST /v1/assessments": Row(CREATE, NEW_ASSESSMENT),
    "GET /v1/assessments/<assessment_id>": Row(CANDIDATE_TOO),
    "DELETE /v1/assessments/<assessment_id>": Row(CHANGE),
    "PATCH /v1/assessments/<assessment_id>": Row(CHANGE, {"expiresInDays": 14}),
    "GET /v1/assessments/<assessment_id>/keys": Row(READ_ONE),
    "POST /v1/assessments/<assessment_id>/keys": Row("201 403 401 401 404 401 401", {"count": 1}),
    "DELETE /v1/assessments/<assessment_id>/keys/<key_id>": Row(CHANGE),
    "GET /v1/assessments/<assessment_id>/cohort-stats": Row(READ_ONE, query={"sessionId": "<session_id>"}),
    "GET /v1/candidates": Row(READ),
    "PATCH /v1/candidates/<candidate_id>": Row(
        "409 403 401 401 404 401 401", {"hired": True}
    ),  # not finished
    "POST /v1/candidates/<candidate_id>/allow-redeem": Row(CHANGE),
    "POST /v1/candidates/<candidate_id>/invite": Row(CHANGE),
    "POST /v1/candidates/<candidate_id>/extend": Row(REDEEMED, {"days": 7}),
    "POST /v1/candidates/<candidate_id>/reopen": Row(REDEEMED, {}),
    "GET /v1/candidates/<candidate_id>/accommodation": Row(CHANGE),
    "PUT /v1/candidates/<candidate_id>/accommodation": Row(CHANGE, {"extraMinutes": 30}),
    "GET /v1/candidates/<candidate_id>/deliveries": Row(READ_ONE),
    "GET /v1/deliveries": Row(READ),
    "POST /v1/deliveries/<delivery_id>/retry": Row("409 403 401 401 404 401 401"),  # not failed
    "DELETE /v1/candidates/<candidate_id>/data": Row(CHANGE),
    "GET /v1/candidate/me": Row(CANDIDATE_ONLY),
    "GET /v1/candidate/me/export": Row(CANDIDATE_ONLY),
    "POST /v1/candidate/me/erasure-request": Row(CANDIDATE_ONLY),
    "GET /v1/sessions/<session_id>": Row(CANDIDATE_TOO),
    "POST /v1/sessions/<session_id>/close": Row(CHANGE),
    "PUT /v1/sessions/<session_id>/test-result": Row(CHANGE, {"passed": 1, "failed": 0}),
    "GET /v1/sessions": Row(READ),
    "GET /v1/sessions/<session_id>/scores": Row(READ_ONE),
    "PUT /v1/sessions/<session_id>/scores/<criterion>": Row(CHANGE, {"value": 1}),
    "GET /v1/sessions/<session_id>/timeline": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/timeline/<event_id>": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/decisions": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/artifacts": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/export": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/recent-activity": Row(CANDIDATE_TOO),
    "GET /v1/sessions/<session_id>/analytics": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/cohort-stats": Row(READ_ONE),
    "GET /v1/analytics/overview": Row(READ),
    "GET /v1/analytics/top-candidates": Row(READ, query={"metric": "durationMs"}),
    "GET /v1/issues": Row(READ),
    "POST /v1/issues": Row(CREATE, NEW_ISSUE),
    "GET /v1/issues/<issue_id>": Row(CANDIDATE_TOO),
    "PATCH /v1/issues/<issue_id>": Row(CHANGE, {"title": "Other"}),
    "DELETE /v1/issues/<issue_id>": Row(CHANGE),
    "GET /v1/rubrics": Row(READ),
    "POST /v1/rubrics": Row(CREATE, NEW_RUBRIC),
    "GET /v1/rubrics/<rubric_id>": Row(READ_ONE),
    "PATCH /v1/rubrics/<rubric_id>": Row(CHANGE, {"name": "Other"}),
    "DELETE /v1/rubrics/<rubric_id>": Row(CHANGE),
    "GET /v1/audit": Row(READ),
    "GET /v1/org": Row(READ),
    "GET /v1/org/settings": Row(READ),
    "PATCH /v1/org/settings": Row("200 403 401 401 200 401 401", {"retentionDays": 90}),
    "GET /v1/org/tokens": Row(READ),
    "POST /v1/org/tokens": Row(CREATE, {"name": "One more"}),
    "DELETE /v1/org/tokens/<token_id>": Row(CHANGE),
    "GET /v1/webhooks": Row(READ),
    "POST /v1/webhooks": Row(CREATE, {"url": "https://example.com/hook"}),
    "GET /v1/webhooks/<webhook_id>": Row(READ_ONE),
    "PATCH /v1/webhooks/<webhook_id>": Row(CHANGE, {"description": "Other"}),
    "DELETE /v1/webhooks/<webhook_id>": Row(CHANGE),
    "POST /v1/webhooks/<webhook_id>/rotate-secret": Row(CHANGE),
    "POST /v1/webhooks/<webhook_id>/test": Row(QUEUE),
    "GET /v1/webhooks/<webhook_id>/deliveries": Row(READ_ONE),
    "POST /v1/webhooks/<webhook_id>/deliveries/<message_id>/redeliver": Row(QUEUE),
    "GET /v1/events": Row(READ),
    "GET /v1/me": Row("200 200 200 200 200 401 401"),
    # The key stands in body or query, and whoever has it may.
    "GET /v1/candidate/consent": Row(ALL, query={"key": "<key>"}),
    "POST /v1/candidate/consent": Row(ALL, {"key": "<key>"}),
    "POST /v1/candidate/redeem": Row(ALL, {"key": "<fresh_key>"}),
    "POST /v1/candidate/complete": Row(ALL, {"key": "<key>", "sessionId": "<session_id>"}),
    "POST /v1/proxy/anthropic/v1/messages": Row(PROXY, {}),
    "POST /v1/proxy/anthropic/v1/messages/count_tokens": Row(PROXY, {}),
    "GET /v1/proxy/anthropic/v1/models": Row(PROXY),
    "GET /v1/proxy/anthropic/v1/models/<model>": Row(PROXY),
    "POST /v1/proxy/openai/v1/responses": Row(PROXY, {}),
    "GET /v1/proxy/openai/v1/models": Row(PROXY),
    **{
        f"{method} /v1/proxy/<provider>/<path>": Row(UNKNOWN_TO_PROXY)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    },
    "GET /v1/assessments/<assessment_id>/task": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/integrity": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/signed-log": Row(CANDIDATE_TOO),
    "GET /v1/sessions/<session_id>/submissions": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/bundle": Row(NO_BUNDLE),
    "GET /v1/sessions/<session_id>/bundle/files": Row(NO_BUNDLE),
    "GET /v1/cli/version-check": Row(ALL, query={"version": "1.10.0"}),
    "POST /v1/candidate/workspace-commit": Row(
        OWN_SESSION, {"sessionId": "<session_id>", "commitSha": "4b825dc"}
    ),
    "POST /v1/candidate/device-check": Row(CANDIDATE_ONLY, {"checkpoint": "start", "fingerprint": {}}),
    "POST /v1/candidate/hosted-boot": Row(CANDIDATE_ONLY, {"prebuilt": None}),
    "POST /v1/candidate/upload-url": Row(OWN_SESSION, {"sessionId": "<session_id>"}),
    "POST /v1/candidate/submit-code": Row(OWN_SESSION, SUBMISSION),
    "PUT /v1/bundles/<object_key>": Row("403 403 403 403 403 403 403"),  # the address is not signed
    "POST /v1/hooks/ingest/batch": Row(CANDIDATE_ONLY, {"events": [envelope()]}),
    "POST /v1/hooks/ingest": Row("401 401 201 404 401 401 401", envelope() | {"sessionId": "<session_id>"}),
}


@pytest.fixture
def world(app, organization, reviewer, reader, neighbour, anonymous):
    """One of everything that the rows name, and everybody who calls."""
    issue = make_issue(organization)
    rubric = make_rubric(organization)
    assessment = make_assessment(organization, issue_id=issue.id, rubric_id=rubric.id)
    key, other_key = make_key(assessment), make_key(make_assessment(organization))
    session = make_session(key)
    add_event(session, envelope(id="first"))
    make_session(other_key)
    fresh_key = make_key(assessment)
    Consent.give(fresh_key, None, None)
    hook = make_webhook(organization)
    revoked = Caller.reviewer(app, organization)
    revoked.row.revoke()
    names = {
        "model": "claude-haiku-4-5",
        "provider": "anthropic",
        "path": "v1/files",
        "assessment_id": assessment.id,
        "key_id": key.id,
        "candidate_id": key.id,
        "session_id": session.id,
        "delivery_id": key.invitation_id,
        "criterion": "quality",
        "issue_id": issue.id,
        "rubric_id": make_rubric(organization).id,
        "token_id": ApiToken.get(ApiToken.name == "First token").id,
        "event_id": "first",
        "webhook_id": hook.id,
        "message_id": outbox.enqueue_test(hook).id,
        "object_key": "x",
        "key": key.key,
        "fresh_key": fresh_key.key,
    }
    callers = {
        "reviewer": reviewer,
        "reader": reader,
        "candidate": Caller.candidate(app, key),
        "outsider": Caller.candidate(app, other_key),
        "neighbour": neighbour,
        "revoked": revoked,
        "anonymous": anonymous,
    }
    return names, callers


def filled(template, names):
    """The template with the world's ids and keys in place of `<name>`, also inside of a body."""
    if isinstance(template, dict):
        return {name: filled(value, names) for name, value in template.items()}
    if isinstance(template, str):
        for name, value in names.items():
            template = template.replace(f"<{name}>", str(value))
    return template


def files(route):
    """A file that the pages really have, where the route serves files."""
    return {"GET /docs/<name>": "swagger-ui.css", "GET /pages/<name>": "start.js"}.get(route, "")


@pytest.mark.parametrize("route", ROWS)
def test_who_may_call(world, route):
    row, (names, callers) = ROWS[route], world
    method, path = filled(route, names | {"name": files(route)}).split(" ")
    sent = {"query_string": filled(row.query, names), "json": filled(row.body, names)}
    statuses = {}
    for name in CALLERS:
        with db.atomic() as undone, callers[name].request(method, path, **sent) as answer:
            statuses[name] = answer.status_code
            undone.rollback()
    assert statuses == dict(zip(CALLERS, map(int, row.statuses.split()), strict=True))


def routes(app):
    for rule in app.url_map.iter_rules():
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield f"{method} {CONVERTER.sub('<', rule.rule)}"


def test_every_route_has_a_row(app_on_database):
    assert set(routes(app_on_database)) - set(ROWS) == set()


def test_every_row_has_a_route(app_on_database):
    assert set(ROWS) - set(routes(app_on_database)) == set()


def test_every_documented_operation_has_a_row(app_on_database):
    paths = openapi.document_of(app_on_database)["paths"]
    operations = {
        f"{method.upper()} {path}"
        for path, item in paths.items()
        for method in item
        if method != "parameters"
    }
    rows = {NAME.sub(lambda name: f"{{{camel(name[1])}}}", route) for route in ROWS}
    assert len(operations & rows) == len(operations)


def test_what_openapi_says_of_credentials_is_what_happens(app_on_database):
    paths = openapi.document_of(app_on_database)["paths"]
    for route, row in ROWS.items():
        method, path = route.split(" ")
        operation = paths.get(NAME.sub(lambda name: f"{{{camel(name[1])}}}", path), {}).get(method.lower())
        if operation is None:
            assert not path.startswith("/v1/") or path == "/v1/proxy/<provider>/<path>", route
            continue
        accepted = {scheme for alternative in operation["security"] for scheme in alternative}
        statuses = dict(zip(CALLERS, row.statuses.split(), strict=True))
        public = statuses["anonymous"] != "401"
        assert ("reviewerToken" in accepted) == (not public and statuses["reviewer"] != "401"), route
        assert ("candidateKey" in accepted) == (not public and statuses["candidate"] != "401"), route
