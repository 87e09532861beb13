"""Authentication by API token, candidate key, runner's token or sign-in cookie (R1, R4)."""

from collections.abc import Callable
from functools import wraps
from types import UnionType
from typing import Any, get_args

from flask import g, request
from werkzeug.exceptions import HTTPException

import errors
from access import console, credential_throttling, raises
from access.concurrency import has_large_body
from models import ApiToken, CandidateKey, RunnerToken, SignIn
from web.access_log import record_caller
from web.json import reject_body
from web.unknown_names import check_query, get_field_names

# Maps each header to its lookup, which raises Unauthenticated. The first header that is present is used.
Lookups = dict[str, Callable[[str], Any]]


def _bearer(header: str) -> str:
    scheme, _, credential = header.strip().partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def _token_lookup(table: type[ApiToken | RunnerToken]) -> Callable[[str], Any]:
    def lookup(header: str) -> Any:
        text = _bearer(header)
        with credential_throttling.lookup(text):
            token = table.authenticate(text)
            if token is None:
                raise errors.Unauthenticated()
        token.record_use()
        return token

    return lookup


def _candidate_key(text: str) -> CandidateKey:
    with credential_throttling.lookup(text):
        key = CandidateKey.find(text)
        if key is None or not key.is_usable:
            raise errors.Unauthenticated()
    return key


def _sign_in(secret: str) -> ApiToken:
    """Return the token for the sign-in with this secret, scoped to the user's role."""
    console.require_console()
    token = SignIn.authenticate(secret)
    if token is None:
        # A signed-out browser can send an old secret, which is not a guess.
        with credential_throttling.lookup("" if SignIn.was_issued(secret) else secret):
            raise errors.Unauthenticated()
    token.sign_in.record_use()
    return token


LOOKUPS: Lookups = {"Authorization": _token_lookup(ApiToken), "X-API-Key": _candidate_key}
# Candidates' tools send the candidate key in either header (R1, R39).
CANDIDATE_LOOKUPS: Lookups = {
    "Authorization": lambda header: _candidate_key(_bearer(header)),
    "X-API-Key": _candidate_key,
}
RUNNER_LOOKUPS: Lookups = {"Authorization": _token_lookup(RunnerToken)}
# The kind of caller in the request log
_LOGGED = {ApiToken: "reviewer", CandidateKey: "candidate", RunnerToken: "runner"}


def required(kinds: type | UnionType, scope: str = "read", lookups: Lookups = LOOKUPS) -> Callable:
    """Require a caller of one of these kinds; API tokens also need the scope.

    scope -- `read`, `write`, or `admin`: admins, and service accounts with `write` (rules/roles.py)

    Raises Unauthenticated; for API tokens also InsufficientScope and InsufficientRole. Also rejects or reports unknown
    names, except in candidates' operations (R35).
    """

    def decorate(view: Any) -> Callable:
        is_reported = getattr(view, "reports_ignored_fields", False)
        arguments = getattr(view, "arguments", {})
        known = get_field_names(arguments["query"]) if "query" in arguments else []

        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            g.caller = authenticate(kinds, scope, lookups)
            if is_reported or isinstance(g.caller, ApiToken):
                check_query(known, is_reported)
                if request.method != "GET" and not is_reported and "json" not in arguments:
                    reject_body()
            return view(*args, **kwargs)

        return _declare(wrapper, kinds, scope, lookups)

    return decorate


def checked_by_view(view: Callable) -> Callable:
    """Let the view check `presented_key()` in its own SQL statement.

    A large body is read only after the credential is checked. If the view raises an error, the credential is checked
    first, because 401 takes precedence (R5).
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if has_large_body():
            g.caller = authenticate(CandidateKey)
        with credential_throttling.lookup(presented_key()):
            try:
                return view(*args, **kwargs)
            except HTTPException:
                authenticate(CandidateKey)
                raise

    return _declare(wrapper, CandidateKey)


def presented_key() -> str:
    """Return the request's candidate key, not yet looked up, or an empty string if `Authorization` is present."""
    return "" if "Authorization" in request.headers else request.headers.get("X-API-Key", "")


def authenticate(kinds: type | UnionType, scope: str = "read", lookups: Lookups = LOOKUPS) -> Any:
    """Return the request's ApiToken, CandidateKey or RunnerToken.

    Raises Unauthenticated, InsufficientScope or InsufficientRole, or for a cookie ForeignOrigin (access/console.py).
    """
    row = _look_up(kinds, lookups)
    if row is None:
        raise errors.Unauthenticated()
    record_caller(_LOGGED[type(row)], row.id)
    if not isinstance(row, kinds):
        raise errors.Unauthenticated()
    if isinstance(row, ApiToken):
        row.require_scope(scope)
    return row


def _look_up(kinds: type | UnionType, lookups: Lookups) -> Any:
    """Look up the first credential, or return None. A cookie is read last, and only if API tokens are accepted."""
    for header, look_up in lookups.items():
        credential = request.headers.get(header)
        if credential is not None:
            return look_up(credential)
    secret = console.presented_secret() if ApiToken in _as_tuple(kinds) else ""
    return _sign_in(secret) if secret else None


def _as_tuple(kinds: type | UnionType) -> tuple[Any, ...]:
    return get_args(kinds) or (kinds,)


_TOKEN = {"type": "http", "scheme": "bearer", "bearerFormat": "psk_live_..."}
_COOKIE = {"type": "apiKey", "in": "cookie", "name": console.COOKIE}
_KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
_BEARER_KEY = {"type": "http", "scheme": "bearer", "bearerFormat": "PST-XXXX-XXXX"}
_RUNNER_TOKEN = {"type": "http", "scheme": "bearer", "bearerFormat": "psr_..."}
_TOKEN_DESCRIPTION = "API token, from `flask token create` or `POST /v1/org/tokens`."
_COOKIE_DESCRIPTION = (
    "Console sign-in. Changes also require the headers that the console sends. Programs use a token instead."
)
_BEARER_KEY_DESCRIPTION = "Candidate key, for the model proxies, hooks and telemetry."
_RUNNER_TOKEN_DESCRIPTION = "Runner's token, from `POST /v1/org/runners` or `flask runner create`."
SCHEMES = {
    "reviewerToken": _TOKEN | {"description": _TOKEN_DESCRIPTION},
    "signIn": _COOKIE | {"description": _COOKIE_DESCRIPTION},
    "candidateKey": _KEY | {"description": "Candidate key, `PST-XXXX-XXXX`."},
    "candidateBearer": _BEARER_KEY | {"description": _BEARER_KEY_DESCRIPTION},
    "runnerToken": _RUNNER_TOKEN | {"description": _RUNNER_TOKEN_DESCRIPTION},
}
_SCHEME_BY_KIND = {ApiToken: "reviewerToken", CandidateKey: "candidateKey", RunnerToken: "runnerToken"}


def _declare(wrapper: Any, kinds: type | UnionType, scope: str = "read", lookups: Lookups = LOOKUPS) -> Any:
    """Store the allowed callers, and the operation's `security` and errors for OpenAPI."""
    schemes = [_SCHEME_BY_KIND[kind] for kind in _as_tuple(kinds)]
    api_errors: list[type[errors.ApiError]] = [errors.Unauthenticated]
    if scope != "read":
        api_errors += [errors.InsufficientScope, errors.InsufficientRole]
    if ApiToken in _as_tuple(kinds):
        schemes.append("signIn")
        api_errors.append(errors.ForeignOrigin)
        if not hasattr(wrapper, "reports_ignored_fields"):
            api_errors.append(errors.UnknownParameter)
    if lookups is CANDIDATE_LOOKUPS:
        schemes.append("candidateBearer")
    wrapper.access = (kinds, scope)
    wrapper.schemes = schemes
    wrapper.security = [{scheme: []} for scheme in schemes]
    return raises(*api_errors)(wrapper)
