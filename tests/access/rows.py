"""Each caller's expected status for every route, computed from its declarations (R1 to R3, R41).

A new route needs an entry only if it is public, or if its request fails with the tests' rows.
"""

from typing import Any, NamedTuple

from werkzeug.test import TestResponse

from models import db
from tests.hostile.operations import APP, HAS_INTEGRATIONS, Operation, every_operation, fill, route_of

# `outsider` is a candidate of another assessment. The second line uses sign-in cookies (docs/sign-in.md): a person in
# each role, and an admin whose requests come from another site.
CALLERS = (
    *("reviewer", "reader", "candidate", "outsider", "neighbour", "revoked", "anonymous", "runner"),
    *("admin by cookie", "reviewer by cookie", "observer by cookie", "admin from another site"),
)
ALL = "200 200 200 200 200 200 200 200 | 200 200 200 200"
CHANGE_OWN_SCORE = "200 403 401 401 404 401 401 401 | 404 404 403 403"  # the service account's score
DELETE_NOTE = "200 403 401 401 404 401 401 401 | 200 403 403 403"  # the service account's note
REVEAL_SCORES = "403 403 401 401 403 401 401 401 | 200 200 403 403"  # for people only
END_SIGN_IN = "404 404 401 401 404 401 401 401 | 200 200 200 403"  # a token is not a sign-in
INVALID_TOKEN = "403 403 403 403 403 403 403 403 | 401 401 401 403"  # only the console can sign in
EMAIL_LINK = "403 403 403 403 403 403 403 403 | 202 202 202 403"
NOT_SIGNED = "403 403 403 403 403 403 403 403 | 403 403 403 403"  # neither is the URL nor the body
NO_PROVIDER = "404 404 404 404 404 404 404 404 | 404 404 404 404"
NO_REPOSITORY = NO_PROVIDER
WITHOUT_PROVIDER = "401 401 404 404 401 401 401 401 | 401 401 401 401"
REVEALING = ("sessions/<session_id>", "assessments/<assessment_id>")
PROXIES = [f"{method} /v1/proxy/<provider>/<path>" for method in ("GET", "POST", "PUT", "PATCH", "DELETE")]

# Routes that require no credential. Candidates' routes authenticate the key in the body or the query.
PUBLIC_PATHS = (
    *("/", "/console", "/console/<name>", "/start", "/workspace.sh", "/pages/<name>", "/replay/<session_id>"),
    *(
        "/docs",
        "/docs/<name>",
        "/docs/<name>.md",
        "/docs/images/<name>",
        "/openapi.json",
        "/v1/health",
        "/v1/ready",
    ),
    *("/v1/cli/version-check", "/v1/candidate/consent", "/v1/sign-in"),
)
PUBLIC = {
    **{f"GET {path}": ALL for path in PUBLIC_PATHS},
    **{f"POST /v1/candidate/{name}": ALL for name in ("consent", "redeem", "complete")},
    "GET /git/<repository_token>/task.git/info/refs": NO_REPOSITORY,
    "POST /git/<repository_token>/task.git/git-upload-pack": NO_REPOSITORY,
    "GET /sign-in/oidc": NO_PROVIDER,
    "GET /sign-in/oidc/callback": NO_PROVIDER,
    "POST /v1/sign-in": INVALID_TOKEN,
    "POST /v1/sign-in/email": EMAIL_LINK,
    "PUT /v1/bundles/<object_key>": NOT_SIGNED,
    **({"POST /v1/integrations/<integration_id>/events": NOT_SIGNED} if HAS_INTEGRATIONS else {}),
}
# Statuses other than the documented success, because of the `names` fixture's rows
SUCCESS_OVERRIDES = {
    "POST /v1/hooks/ingest": 201,
    "PATCH /v1/candidates/<candidate_id>": 409,
    "POST /v1/candidates/<candidate_id>/extend": 409,
    "POST /v1/candidates/<candidate_id>/reopen": 409,
    "POST /v1/deliveries/<delivery_id>/retry": 409,
    "POST /v1/candidates/<candidate_id>/remind": 409,
    "GET /v1/sessions/<session_id>/submission": 404,
    "GET /v1/sessions/<session_id>/bundle": 404,
    "GET /v1/sessions/<session_id>/bundle/files": 404,
    "PUT /v1/candidate/submission": 415,
    **{
        f"PUT /v1/{path}/{kind}": 415
        for path in ("assessments/<assessment_id>", "issues/<issue_id>")
        for kind in ("repository", "tests", "reference")
    },
    **{
        f"{method} /v1/issues/<issue_id>/{kind}": 404
        for method in ("GET", "DELETE")
        for kind in ("repository", "tests", "reference")
    },
    "POST /v1/sessions/<session_id>/test-runs": 409,  # without a submission
    "GET /v1/issues/<issue_id>/tests/check": 404,
    "POST /v1/issues/<issue_id>/tests/check": 409,
    "GET /v1/runner/jobs/<job_id>/inputs/<name>": 409,  # the store has no such object
}
STATUS_OVERRIDES = {
    "DELETE /v1/sessions/<session_id>/scores/<criterion>": CHANGE_OWN_SCORE,
    "POST /v1/sessions/<session_id>/scores/<criterion>/withdraw": CHANGE_OWN_SCORE,
    "DELETE /v1/sessions/<session_id>/notes/<note_id>": DELETE_NOTE,
    **{f"POST /v1/{each}/scores/reveal": REVEAL_SCORES for each in REVEALING},
    "DELETE /v1/sign-in/session": END_SIGN_IN,
    **dict.fromkeys(PROXIES, WITHOUT_PROVIDER),
}
# Ending the caller's sign-ins, and a comparison that stores nothing
READ_SCOPE_CHANGES = {
    "DELETE /v1/sign-in/session",
    "DELETE /v1/sign-in/sessions",
    "POST /v1/assessments/<assessment_id>/fairness",
}
# Reviewer operations that candidates can call (R3)
SHARED = {
    *("GET /v1/assessments/<assessment_id>", "GET /v1/issues/<issue_id>", "GET /v1/me"),
    *("GET /v1/sessions/<session_id>", "GET /v1/sessions/<session_id>/recent-activity"),
    "GET /v1/sessions/<session_id>/signed-log",
}
CANDIDATE_PREFIXES = ("/v1/candidate/", "/v1/hooks/", "/v1/otlp/", "/v1/proxy/")
# Bodies for operations whose documented example is invalid with the `names` fixture's rows
BODIES = {
    "PATCH /v1/assessments/<assessment_id>": {"expiresInDays": 14},  # a candidate has started
    "POST /v1/candidate/redeem": {"key": "<fresh_key>"},
}
FILES = {
    "GET /console/<name>": "app.js",
    "GET /docs/<name>": "swagger-ui.css",
    "GET /docs/<name>.md": "errors",
    "GET /docs/images/<name>": "start.png",
    "GET /v1/runner/jobs/<job_id>/inputs/<name>": "tests",
}


class Row(NamedTuple):
    """A request, with `<name>` placeholders for ids and keys, and the expected statuses in CALLERS order."""

    statuses: str
    body: dict[str, Any] | None = None
    query: dict[str, str] = {}

    @property
    def by_caller(self) -> dict[str, str]:
        return dict(zip(CALLERS, self.statuses.replace("|", "").split(), strict=True))


def expected_statuses(operation: Operation) -> str:
    """Return the statuses of an operation that requires a credential."""
    success = SUCCESS_OVERRIDES.get(
        operation.route, 403 if "/proxy/" in operation.route else operation.status
    )
    has_row = "_id>" in operation.route
    statuses = dict.fromkeys(CALLERS, 401)
    if "reviewerToken" in operation.callers:
        allowed = ["reviewer", "neighbour", "admin by cookie"]
        allowed += ["reviewer by cookie"] if operation.scope != "admin" else []
        allowed += ["reader", "observer by cookie"] if operation.scope == "read" else []
        statuses |= dict.fromkeys(["reader", *CALLERS[-4:]], 403) | dict.fromkeys(allowed, success)
        # Another organization's rows: 404 in the path (R2), 400 in the body (R8)
        statuses["neighbour"] = 404 if has_row else 400 if operation.references else success
    if "runnerToken" in operation.callers:
        statuses["runner"] = success
    if "candidateKey" in operation.callers:
        is_restricted = has_row or "sessionId" in (operation.body or ())
        statuses |= {"candidate": success, "outsider": 404 if is_restricted else success}
    return " ".join(map(str, statuses.values()))


def _rows() -> dict[str, Row]:
    operations = {operation.route: operation for operation in every_operation()}
    rows = {}
    for rule in APP.url_map.iter_rules():
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            route = route_of(rule, method)
            operation = operations.get(route)
            statuses = PUBLIC.get(route) or STATUS_OVERRIDES.get(route)
            if statuses is None:
                assert operation, f"{route} is not documented: add it to PUBLIC."
                assert operation.callers, (
                    f"{route} needs no credential: set @auth.required, or add it to PUBLIC."
                )
                statuses = expected_statuses(operation)
            body = BODIES.get(route, operation.body if operation else None)
            rows[route] = Row(statuses, body, operation.query if operation else {})
    return rows


ROWS = _rows()


def call(
    caller: Any, route: str, names: dict[str, Any], query: dict[str, Any] | None = None, **fields: Any
) -> TestResponse:
    """Send a valid request with more parameters and fields, and roll back its changes."""
    row = ROWS[route]
    method, path = fill(route, names | {"name": FILES.get(route, "start.js")}).split(" ")
    body, parameters = fill(row.body, names), fill(row.query, names) | (query or {})
    if fields:
        body = (body or {}) | fields
    with db.atomic() as transaction:
        response = caller.request(method, path, query_string=parameters, json=body)
        transaction.rollback()
    return response
