"""Allowed callers: a row for each route and method, a column for each caller (R1 to R3)."""

import re
from typing import Any, NamedTuple

import factories

# `outsider` is a candidate of another assessment. Those after the bar send the cookie of a sign-in (docs/sign-in.md):
# a person of each role from the console, and an admin's browser from a page of another origin.
CALLERS = (
    *("reviewer", "reader", "candidate", "outsider", "neighbour", "revoked", "anonymous"),
    *("admin by cookie", "reviewer by cookie", "observer by cookie", "foreign origin"),
)
ALL = "200 200 200 200 200 200 200 | 200 200 200 200"
ALL_READ = "200 200 200 200 200 401 401 | 200 200 200 403"
READ = "200 200 401 401 200 401 401 | 200 200 200 403"
READ_ONE = "200 200 401 401 404 401 401 | 200 200 200 403"
CANDIDATE_TOO = "200 200 200 404 404 401 401 | 200 200 200 403"
PROXY = "401 401 403 403 401 401 401 | 401 401 401 401"  # no provider is configured
UNKNOWN_TO_PROXY = "401 401 404 404 401 401 401 | 401 401 401 401"
CANDIDATE_ONLY = "401 401 200 200 401 401 401 | 401 401 401 401"
OWN_SESSION = "401 401 200 404 401 401 401 | 401 401 401 401"
NEW_EVENT = "401 401 201 404 401 401 401 | 401 401 401 401"
NO_FILE = "401 401 415 415 401 401 401 | 401 401 401 401"
NO_BUNDLE = "404 404 401 401 404 401 401 | 404 404 404 403"
CREATE = "201 403 401 401 201 401 401 | 201 201 403 403"
CREATE_BELOW = "201 403 401 401 404 401 401 | 201 201 403 403"  # below a row of the organization
CREATE_AS_ADMIN = "201 403 401 401 201 401 401 | 201 403 403 403"
CONFLICT = "409 403 401 401 404 401 401 | 409 409 403 403"
QUEUE_AS_ADMIN = "202 403 401 401 404 401 401 | 202 403 403 403"
CHANGE = "200 403 401 401 404 401 401 | 200 200 403 403"
CHANGE_AS_ADMIN = "200 403 401 401 404 401 401 | 200 403 403 403"
CHANGE_ORGANIZATION = "200 403 401 401 200 401 401 | 200 403 403 403"
CHANGE_OWN_SCORE = "200 403 401 401 404 401 401 | 404 404 403 403"  # the score is the service's
END_SIGN_IN = "404 404 401 401 404 401 401 | 200 200 200 403"  # a token has no sign-in to end
WRONG_TOKEN = "403 403 403 403 403 403 403 | 401 401 401 403"  # only the console signs in
MAIL_LINK = "403 403 403 403 403 403 403 | 202 202 202 403"
NOT_SIGNED = "403 403 403 403 403 403 403 | 403 403 403 403"  # the URL is not signed
NO_PROVIDER = "404 404 404 404 404 404 404 | 404 404 404 404"  # none is configured


class Row(NamedTuple):
    """The statuses in the order of CALLERS, and the request, in which `<name>` is replaced by an id or a key."""

    statuses: str
    body: dict[str, Any] | None = None
    query: dict[str, str] = {}

    @property
    def by_caller(self) -> dict[str, str]:
        return dict(zip(CALLERS, self.statuses.replace("|", "").split(), strict=True))


# Changes that the role `reviewer` does not allow, by the start of their path (R41).
FOR_ADMINS = ("/v1/org/", "/v1/webhooks")
ERASURE = "DELETE /v1/candidates/<candidate_id>/data"
NEW_ASSESSMENT = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it."}
LEVELS = [{"value": 0, "label": "Weak"}, {"value": 1, "label": "Strong"}]
NEW_RUBRIC = {"name": "One more", "criteria": [{"key": "quality", "title": "Quality", "levels": LEVELS}]}
SESSION = {"sessionId": "<session_id>"}
SUBMISSION = SESSION | {"bundleKey": "x", "bundleSize": 1, "bundleSha256": "0" * 64}

ROWS = {
    "GET /": Row(ALL),
    "GET /console": Row(ALL),
    "GET /console/<name>": Row(ALL),
    "GET /docs": Row(ALL),
    "GET /docs/<name>": Row(ALL),
    "GET /docs/<name>.md": Row(ALL),
    "GET /docs/images/<name>": Row(ALL),
    "GET /openapi.json": Row(ALL),
    "GET /pages/<name>": Row(ALL),
    "GET /replay/<session_id>": Row(ALL),
    "GET /start": Row(ALL),
    "GET /workspace.sh": Row(ALL),
    "GET /v1/health": Row(ALL),
    "GET /v1/ready": Row(ALL),
    "GET /v1/cli/version-check": Row(ALL, query={"version": "1.10.0"}),
    "GET /v1/assessments": Row(READ),
    "POST /v1/assessments": Row(CREATE, NEW_ASSESSMENT),
    "GET /v1/assessments/<assessment_id>": Row(CANDIDATE_TOO),
    "DELETE /v1/assessments/<assessment_id>": Row(CHANGE),
    "PATCH /v1/assessments/<assessment_id>": Row(CHANGE, {"expiresInDays": 14}),
    "GET /v1/assessments/<assessment_id>/task": Row(READ_ONE),
    "GET /v1/assessments/<assessment_id>/keys": Row(READ_ONE),
    "POST /v1/assessments/<assessment_id>/keys": Row(CREATE_BELOW, {"count": 1}),
    "DELETE /v1/assessments/<assessment_id>/keys/<key_id>": Row(CHANGE),
    "GET /v1/assessments/<assessment_id>/results": Row(READ_ONE),
    "GET /v1/assessments/<assessment_id>/results/export": Row(READ_ONE),
    "GET /v1/assessments/<assessment_id>/cohort-stats": Row(READ_ONE, query=SESSION),
    "POST /v1/assessments/<assessment_id>/fairness": Row(READ_ONE, {"groups": {}}),
    "GET /v1/candidates": Row(READ),
    "GET /v1/candidates/<candidate_id>": Row(READ_ONE),
    "GET /v1/candidates/export": Row(READ),
    "PATCH /v1/candidates/<candidate_id>": Row(CONFLICT, {"hired": True}),
    "PUT /v1/candidates/<candidate_id>/decision": Row(CHANGE, {"decision": "advanced"}),
    "DELETE /v1/candidates/<candidate_id>/data": Row(CHANGE_AS_ADMIN),
    "POST /v1/candidates/<candidate_id>/allow-redeem": Row(CHANGE),
    "POST /v1/candidates/<candidate_id>/invite": Row(CHANGE),
    "POST /v1/candidates/<candidate_id>/extend": Row(CONFLICT, {"days": 7}),
    "POST /v1/candidates/<candidate_id>/reopen": Row(CONFLICT, {}),
    "GET /v1/candidates/<candidate_id>/accommodation": Row(CHANGE),
    "PUT /v1/candidates/<candidate_id>/accommodation": Row(CHANGE, {"extraMinutes": 30}),
    "GET /v1/candidates/<candidate_id>/deliveries": Row(READ_ONE),
    "GET /v1/deliveries": Row(READ),
    "POST /v1/deliveries/<delivery_id>/retry": Row(CONFLICT),
    "GET /v1/sessions": Row(READ),
    "GET /v1/sessions/<session_id>": Row(CANDIDATE_TOO),
    "POST /v1/sessions/<session_id>/close": Row(CHANGE),
    "PUT /v1/sessions/<session_id>/test-result": Row(CHANGE, {"passed": 1, "failed": 0}),
    "GET /v1/sessions/<session_id>/scores": Row(READ_ONE),
    "PUT /v1/sessions/<session_id>/scores/<criterion>": Row(CHANGE, {"value": 1}),
    "DELETE /v1/sessions/<session_id>/scores/<criterion>": Row(CHANGE_OWN_SCORE),
    "POST /v1/sessions/<session_id>/scores/<criterion>/withdraw": Row(CHANGE_OWN_SCORE, {"reason": "Wrong."}),
    "GET /v1/sessions/<session_id>/timeline": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/timeline/<event_id>": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/timeline/compact": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/decisions": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/artifacts": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/export": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/recent-activity": Row(CANDIDATE_TOO),
    "GET /v1/sessions/<session_id>/analytics": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/cohort-stats": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/integrity": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/signed-log": Row(CANDIDATE_TOO),
    "GET /v1/sessions/<session_id>/submissions": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/final-diff": Row(READ_ONE),
    "GET /v1/sessions/<session_id>/hand-in": Row(NO_BUNDLE),
    "GET /v1/sessions/<session_id>/bundle": Row(NO_BUNDLE),
    "GET /v1/sessions/<session_id>/bundle/files": Row(NO_BUNDLE),
    "GET /v1/todo": Row(READ),
    "GET /v1/analytics/overview": Row(READ),
    "GET /v1/analytics/progress": Row(READ),
    "GET /v1/analytics/top-candidates": Row(READ, query={"metric": "durationMs"}),
    "GET /v1/issues": Row(READ),
    "POST /v1/issues": Row(CREATE, {"title": "One more", "taskBrief": "Fix it."}),
    "GET /v1/issues/<issue_id>": Row(CANDIDATE_TOO),
    "PATCH /v1/issues/<issue_id>": Row(CHANGE, {"title": "Other"}),
    "DELETE /v1/issues/<issue_id>": Row(CHANGE),
    "GET /v1/rubrics": Row(READ),
    "POST /v1/rubrics": Row(CREATE, NEW_RUBRIC),
    "GET /v1/rubrics/<rubric_id>": Row(READ_ONE),
    "PATCH /v1/rubrics/<rubric_id>": Row(CHANGE, {"name": "Other"}),
    "DELETE /v1/rubrics/<rubric_id>": Row(CHANGE),
    "GET /v1/audit": Row(READ),
    "GET /v1/audit/export": Row(READ),
    "GET /v1/org": Row(READ),
    "GET /v1/org/settings": Row(READ),
    "PATCH /v1/org/settings": Row(CHANGE_ORGANIZATION, {"retentionDays": 90}),
    "GET /v1/org/disclosure": Row(READ),
    "GET /v1/org/usage": Row(READ),
    "GET /v1/org/tokens": Row(READ),
    "POST /v1/org/tokens": Row(CREATE_AS_ADMIN, {"name": "One more"}),
    "DELETE /v1/org/tokens/<token_id>": Row(CHANGE_AS_ADMIN),
    "GET /v1/org/people": Row(READ),
    "POST /v1/org/people": Row(
        CREATE_AS_ADMIN, {"name": "One more", "email": "more@example.com", "role": "reviewer"}
    ),
    "GET /v1/org/people/<person_id>": Row(READ_ONE),
    "PATCH /v1/org/people/<person_id>": Row(CHANGE_AS_ADMIN, {"role": "observer"}),
    "DELETE /v1/org/people/<person_id>": Row(CHANGE_AS_ADMIN),
    "GET /sign-in/oidc": Row(NO_PROVIDER),
    "GET /sign-in/oidc/callback": Row(NO_PROVIDER),
    "GET /v1/sign-in": Row(ALL),
    "POST /v1/sign-in": Row(WRONG_TOKEN, {"token": "x"}),
    "POST /v1/sign-in/mail": Row(MAIL_LINK, {"email": "more@example.com"}),
    "GET /v1/sign-in/sessions": Row(READ),
    "DELETE /v1/sign-in/sessions": Row(READ),
    "DELETE /v1/sign-in/session": Row(END_SIGN_IN),
    "GET /v1/webhooks": Row(READ),
    "POST /v1/webhooks": Row(CREATE_AS_ADMIN, {"url": "https://example.com/hook"}),
    "GET /v1/webhooks/<webhook_id>": Row(READ_ONE),
    "PATCH /v1/webhooks/<webhook_id>": Row(CHANGE_AS_ADMIN, {"description": "Other"}),
    "DELETE /v1/webhooks/<webhook_id>": Row(CHANGE_AS_ADMIN),
    "POST /v1/webhooks/<webhook_id>/rotate-secret": Row(CHANGE_AS_ADMIN),
    "POST /v1/webhooks/<webhook_id>/test": Row(QUEUE_AS_ADMIN),
    "GET /v1/webhooks/<webhook_id>/deliveries": Row(READ_ONE),
    "POST /v1/webhooks/<webhook_id>/deliveries/<message_id>/redeliver": Row(QUEUE_AS_ADMIN),
    "GET /v1/events": Row(READ),
    "GET /v1/me": Row(ALL_READ),
    # The key in the body or the query authorizes these.
    "GET /v1/candidate/consent": Row(ALL, query={"key": "<key>"}),
    "POST /v1/candidate/consent": Row(ALL, {"key": "<key>"}),
    "POST /v1/candidate/redeem": Row(ALL, {"key": "<fresh_key>"}),
    "POST /v1/candidate/complete": Row(ALL, SESSION | {"key": "<key>"}),
    "GET /v1/candidate/workspace": Row(CANDIDATE_ONLY),
    "GET /v1/candidate/workspace/files": Row(CANDIDATE_ONLY),
    "GET /v1/candidate/me": Row(CANDIDATE_ONLY),
    "GET /v1/candidate/me/export": Row(CANDIDATE_ONLY),
    "POST /v1/candidate/me/erasure-request": Row(CANDIDATE_ONLY),
    "POST /v1/candidate/workspace-commit": Row(OWN_SESSION, SESSION | {"commitSha": "4b825dc"}),
    "POST /v1/candidate/device-check": Row(CANDIDATE_ONLY, {"checkpoint": "start", "fingerprint": {}}),
    "POST /v1/candidate/hosted-boot": Row(CANDIDATE_ONLY, {"prebuilt": None}),
    "POST /v1/candidate/upload-url": Row(OWN_SESSION, SESSION),
    "POST /v1/candidate/submit-code": Row(OWN_SESSION, SUBMISSION),
    "PUT /v1/candidate/hand-in": Row(NO_FILE),
    "PUT /v1/bundles/<object_key>": Row(NOT_SIGNED),
    "POST /v1/hooks/ingest": Row(NEW_EVENT, factories.envelope() | SESSION),
    "POST /v1/hooks/ingest/batch": Row(CANDIDATE_ONLY, {"events": [factories.envelope()]}),
    "POST /v1/hooks/claude-code": Row(CANDIDATE_ONLY, {"hook_event_name": "Stop", "session_id": "1"}),
    "POST /v1/hooks/codex": Row(CANDIDATE_ONLY, {"hook_event_name": "Stop", "session_id": "1"}),
    "POST /v1/otlp/v1/logs": Row(CANDIDATE_ONLY, {"resourceLogs": []}),
    "POST /v1/otlp/v1/metrics": Row(CANDIDATE_ONLY, {}),
    "POST /v1/otlp/v1/traces": Row(CANDIDATE_ONLY, {}),
    "POST /v1/proxy/anthropic/v1/messages": Row(PROXY, {}),
    "POST /v1/proxy/anthropic/v1/messages/count_tokens": Row(PROXY, {}),
    "GET /v1/proxy/anthropic/v1/models": Row(PROXY),
    "GET /v1/proxy/anthropic/v1/models/<model>": Row(PROXY),
    "POST /v1/proxy/openai/v1/responses": Row(PROXY, {}),
    "POST /v1/proxy/openai/v1/chat/completions": Row(PROXY, {}),
    "GET /v1/proxy/openai/v1/models": Row(PROXY),
    **{
        f"{method} /v1/proxy/<provider>/<path>": Row(UNKNOWN_TO_PROXY)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    },
}


def fill(template, names):
    """The template with the names' values in place of `<name>`."""
    if isinstance(template, str):
        missing = set(re.findall(r"<(\w+)>", template)) - names.keys()
        assert not missing, "Return these ids from make_record or make_settings in tests/factories.py."
        return re.sub(r"<(\w+)>", lambda name: str(names[name[1]]), template)
    is_nested = isinstance(template, dict)
    return {name: fill(value, names) for name, value in template.items()} if is_nested else template
