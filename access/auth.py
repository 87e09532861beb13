"""Authentication: a chain that accepts API tokens or candidate keys (R1, R4)."""

from collections.abc import Callable
from functools import wraps
from types import UnionType
from typing import Any, get_args

from flask import g, request
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from errors import InsufficientScope, Unauthenticated
from models import ApiToken, CandidateKey
from web.access_log import record_caller
from web.json import MAX_BODY_BYTES

# The headers in which a credential is accepted, and its look-up. The first header present decides.
Chain = tuple[tuple[str, Callable[[str], Any]], ...]

caller: Any = LocalProxy(lambda: g.caller)


def _bearer(header: str) -> str:
    scheme, _, credential = header.strip().partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def _api_token(header: str) -> ApiToken | None:
    token = ApiToken.authenticate(_bearer(header))
    if token is not None:
        token.record_use()
    return token


def _candidate_key(text: str) -> CandidateKey | None:
    key = CandidateKey.find(text)
    return key if key is not None and key.is_usable else None


CHAIN: Chain = (("Authorization", _api_token), ("X-API-Key", _candidate_key))
# For the model proxies, where a candidate key is accepted in either header (R1).
CANDIDATE_CHAIN: Chain = (
    ("Authorization", lambda header: _candidate_key(_bearer(header))),
    ("X-API-Key", _candidate_key),
)


def required(kinds: type | UnionType, scope: str = "read", chain: Chain = CHAIN) -> Callable:
    """Accept only these kinds of callers, and API tokens only with the scope.

    Raises Unauthenticated, and InsufficientScope for an API token that may only read. Declares the operation's
    `security` in OpenAPI.
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            g.caller = authenticate(kinds, scope, chain)
            return view(*args, **kwargs)

        return _declare(wrapper, kinds, scope, chain)

    return decorate


def checked_by_statement(view: Callable) -> Callable:
    """Accept a candidate key that the view's own statement checks; the view finds it in `presented_key()`.

    Before anything else is refused, the credential is (R5). A body of unknown size or over 1 MiB is read only after the
    credential is checked.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if request.content_length is None or request.content_length > MAX_BODY_BYTES:
            authenticate(CandidateKey)
        try:
            return view(*args, **kwargs)
        except HTTPException:
            authenticate(CandidateKey)
            raise

    return _declare(wrapper, CandidateKey, "read", CHAIN)


def presented_key() -> str:
    """The candidate key that the request presents, not yet looked up; empty if `Authorization` decides instead."""
    return "" if "Authorization" in request.headers else request.headers.get("X-API-Key", "")


def _declare(wrapper: Any, kinds: type | UnionType, scope: str, chain: Chain) -> Any:
    refusals = (Unauthenticated, InsufficientScope) if scope == "write" else (Unauthenticated,)
    wrapper.access, wrapper.chain = (kinds, scope), chain
    wrapper.refusals = (*getattr(wrapper, "refusals", ()), *refusals)
    return wrapper


def authenticate(kinds: type | UnionType, scope: str = "read", chain: Chain = CHAIN) -> Any:
    """The ApiToken or CandidateKey that the request presents. Raises Unauthenticated and InsufficientScope."""
    for header, look_up in chain:
        credential = request.headers.get(header)
        if credential is not None:
            found = look_up(credential)
            if found is None:
                break
            record_caller("reviewer" if isinstance(found, ApiToken) else "candidate", found.id)
            if not isinstance(found, kinds):
                break
            if isinstance(found, ApiToken):
                found.require_scope(scope)
            return found
    raise Unauthenticated()


SCHEMES = {
    "reviewerToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "psk_live_...",
        "description": "An API token, from `flask token create` or `POST /v1/org/tokens`.",
    },
    "candidateKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A candidate key, `PST-XXXX-XXXX`.",
    },
    "candidateBearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "PST-XXXX-XXXX",
        "description": "A candidate key; accepted here by the model proxies only.",
    },
}
_SCHEMES_BY_KIND = {ApiToken: "reviewerToken", CandidateKey: "candidateKey"}


def security_of(view: Any) -> list[dict[str, list]]:
    """The operation's `security` in OpenAPI: any one of its schemes, or none."""
    kinds, _ = getattr(view, "access", ((), None))
    schemes = [_SCHEMES_BY_KIND[kind] for kind in get_args(kinds) or (kinds and (kinds,))]
    if getattr(view, "chain", None) is CANDIDATE_CHAIN:
        schemes.append("candidateBearer")
    return [{scheme: []} for scheme in schemes]
