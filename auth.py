"""Who is calling: the chain of credentials, `caller`, `required(kinds)` (R1 to R5)."""

from collections.abc import Callable
from functools import wraps
from types import UnionType
from typing import Any, get_args

import peewee
from flask import g, request
from werkzeug.local import LocalProxy

from errors import InsufficientScope, Unauthenticated
from models import Assessment, CandidateKey, Reviewer, Session
from models.base import Query, clock
from models.compiled import Compiled, Parameter
from request_log import note_caller
from rules import candidate_keys

# Where a credential is presented, and who it names.
Chain = tuple[tuple[str, Callable[[str], Any]], ...]

caller: Any = LocalProxy(lambda: g.caller)


def required(kinds: type | UnionType, scope: str = "read", *, either_header: bool = False) -> Callable:
    """Let only callers of these kinds through, and of reviewers only those with the scope.

    either_header -- a candidate's key may also stand where a reviewer's token stands elsewhere (R1)

    Raises Unauthenticated for a missing, wrong or other kind of credential, InsufficientScope for a token that may
    only read. Writes the operation's `security` into OpenAPI.
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            who = authenticate(EITHER_HEADER if either_header else CHAIN)
            note_caller("reviewer" if isinstance(who, Reviewer) else "candidate", who.id)
            if not isinstance(who, kinds):
                raise Unauthenticated()
            if isinstance(who, Reviewer):
                who.require_scope(scope)
            g.caller = who
            return view(*args, **kwargs)

        # Read where the operation is registered: what OpenAPI says cannot be something else than what happens.
        refusals = (Unauthenticated, InsufficientScope) if scope == "write" else (Unauthenticated,)
        wrapper.access = (kinds, scope)  # type: ignore[attr-defined]
        wrapper.either_header = either_header  # type: ignore[attr-defined]
        wrapper.refusals = (*getattr(view, "refusals", ()), *refusals)  # type: ignore[attr-defined]
        return wrapper

    return decorate


def authenticate(chain: Chain) -> Any:
    """The Reviewer or CandidateKey that the request presents; the first header that is there decides."""
    for header, identify in chain:
        presented = request.headers.get(header)
        if presented is not None:
            who = identify(presented)
            if who is None:
                raise Unauthenticated()
            return who
    raise Unauthenticated()


def _reviewer(presented: str) -> Reviewer | None:
    scheme, _, token = presented.strip().partition(" ")
    reviewer = Reviewer.by_token(token.strip()) if scheme.lower() == "bearer" else None
    if reviewer is not None:
        reviewer.note_use()
    return reviewer


def _candidate(presented: str) -> CandidateKey | None:
    """The key, if it authenticates: pending and unexpired, or redeemed (R4)."""
    key = candidate_keys.normalise(presented)
    if key is None:
        return None
    found = _KEY.first(key=key)
    return found if found and (found.own_session_id or found.expires_at > clock.now()) else None


def _alive_key() -> Query:
    """The key with its session's id, in one statement; with selects inside of it, since PostgreSQL takes four times
    as long to plan the joins as to run them."""
    session_id = Session.select(Session.id).where(Session.key == CandidateKey.id)
    deleted_at = Assessment.select(Assessment.deleted_at).where(Assessment.id == CandidateKey.assessment)
    return CandidateKey.select(CandidateKey, session_id.alias("own_session_id")).where(
        CandidateKey.key == Parameter("key", CandidateKey.key),
        CandidateKey.revoked_at.is_null(),
        peewee.Expression(deleted_at, peewee.OP.IS, None),
    )


_KEY = Compiled(_alive_key)


def _candidate_as_bearer(presented: str) -> CandidateKey | None:
    scheme, _, key = presented.strip().partition(" ")
    return _candidate(key) if scheme.lower() == "bearer" else None


# What is absent goes on to the next; what is wrong stops.
CHAIN: Chain = (("Authorization", _reviewer), ("X-API-Key", _candidate))
EITHER_HEADER: Chain = (("Authorization", _candidate_as_bearer), ("X-API-Key", _candidate))

SCHEMES = {
    "reviewerToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "psk_live_...",
        "description": "A reviewer's token, made by `flask token create` or `POST /v1/org/tokens`.",
    },
    "candidateKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A candidate's key, `PST-XXXX-XXXX`.",
    },
    "candidateBearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "PST-XXXX-XXXX",
        "description": "A candidate's key; only the model proxies take it here too.",
    },
}
_SCHEME_OF = {Reviewer: "reviewerToken", CandidateKey: "candidateKey"}


def security_of(view: Any) -> list[dict[str, list]]:
    """The operation's `security` in OpenAPI: any one of the kinds of credential that it takes, or none at all."""
    kinds, _ = getattr(view, "access", ((), None))
    schemes = [_SCHEME_OF[kind] for kind in get_args(kinds) or (kinds and (kinds,))]
    if getattr(view, "either_header", False):
        schemes.append("candidateBearer")
    return [{scheme: []} for scheme in schemes]
