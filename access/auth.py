"""Who is calling: the chain of credentials, `caller`, `required(kinds)` (R1 to R5)."""

from collections.abc import Callable
from functools import partial, wraps
from types import UnionType
from typing import Any, get_args

from flask import g, request
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from errors import InsufficientScope, Unauthenticated
from models import ApiToken, Assessment, CandidateKey, Session
from models.base import Query, clock
from models.compiled import Compiled, Parameter
from rules import candidate_keys
from web.access_log import note_caller

MOST_KNOWN_KEYS = 1_000
_known_keys: dict[str, CandidateKey] = {}

# Where a credential is presented, and who it names.
Chain = tuple[tuple[str, Callable[[str], Any]], ...]

caller: Any = LocalProxy(lambda: g.caller)


def required(kinds: type | UnionType, scope: str = "read", chain: Chain | None = None) -> Callable:
    """Let only callers of these kinds through, and of reviewers only those with the scope.

    chain -- EITHER_HEADER, WITH_ASSESSMENT or REMEMBERED instead of CHAIN

    Raises Unauthenticated for a missing, wrong or other kind of credential, InsufficientScope for a token that may
    only read. Writes the operation's `security` into OpenAPI.
    """

    def decorate(view: Callable) -> Callable:
        serve = _looked_up_before_refusals(view) if chain is REMEMBERED else view

        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            who = authenticate(chain or CHAIN)
            note_caller("reviewer" if isinstance(who, ApiToken) else "candidate", who.id)
            if not isinstance(who, kinds):
                raise Unauthenticated()
            if isinstance(who, ApiToken):
                who.require_scope(scope)
            g.caller = who
            return serve(*args, **kwargs)

        # Read where the operation is registered: what OpenAPI says cannot be something else than what happens.
        refusals = (Unauthenticated, InsufficientScope) if scope == "write" else (Unauthenticated,)
        wrapper.access = (kinds, scope)  # type: ignore[attr-defined]
        wrapper.chain = chain  # type: ignore[attr-defined]
        wrapper.refusals = (*getattr(view, "refusals", ()), *refusals)  # type: ignore[attr-defined]
        return wrapper

    return decorate


def authenticate(chain: Chain) -> Any:
    """The ApiToken or CandidateKey that the request presents; the first header that is there decides."""
    for header, identify in chain:
        presented = request.headers.get(header)
        if presented is not None:
            who = identify(presented)
            if who is None:
                raise Unauthenticated()
            return who
    raise Unauthenticated()


def _looked_up_before_refusals(view: Callable) -> Callable:
    """Who is remembered may have been locked out since: the work sees to that where it succeeds, and here it is seen
    before anything else is refused."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except HTTPException:
            _known_keys.pop(request.headers.get("X-API-Key", ""), None)
            authenticate(CHAIN)
            raise

    return wrapper


def _reviewer(presented: str) -> ApiToken | None:
    scheme, _, token = presented.strip().partition(" ")
    reviewer = ApiToken.by_token(token.strip()) if scheme.lower() == "bearer" else None
    if reviewer is not None:
        reviewer.note_use()
    return reviewer


def _key(presented: str, look_up: Compiled) -> CandidateKey | None:
    """The key, if it authenticates: pending and unexpired, or redeemed (R4)."""
    key = candidate_keys.normalise(presented)
    if key is None:
        return None
    found = look_up.first(key=key)
    return found if found and (found.own_session_id or found.expires_at > clock.now()) else None


# What schemas.assessments.Assessment shows: each column costs a microsecond or two.
_SHOWN_ASSESSMENT = (
    Assessment.id,
    Assessment.organization,
    Assessment.title,
    Assessment.role,
    Assessment.task_brief,
    Assessment.repo_url,
    Assessment.issue,
    Assessment.rubric,
    Assessment.time_limit_minutes,
    Assessment.expires_in_days,
    Assessment.created_at,
    Assessment.updated_at,
)


def _present_key(*columns: Any) -> Query:
    """The key's columns and its session's id, in one statement."""
    session_id = Session.select(Session.id).where(Session.key == CandidateKey.id)
    return CandidateKey.select(*columns, session_id.alias("own_session_id")).where(
        CandidateKey.key == Parameter("key", CandidateKey.key), CandidateKey.revoked_at.is_null()
    )


def _whole_key() -> Query:
    return _present_key(CandidateKey).where(Assessment.is_present(CandidateKey.assessment))


def _key_in_ids() -> Query:
    ids = (CandidateKey.id, CandidateKey.organization, CandidateKey.assessment, CandidateKey.expires_at)
    return _present_key(*ids).where(Assessment.is_present(CandidateKey.assessment))


def _key_with_assessment() -> Query:
    """One statement where there would be two: a fifth of what it costs to show a candidate the assessment."""
    query = _present_key(CandidateKey.id, CandidateKey.expires_at, *_SHOWN_ASSESSMENT).join(Assessment)
    return query.where(Assessment.deleted_at.is_null())


_candidate = partial(_key, look_up=Compiled(_whole_key))
_look_up_ids = Compiled(_key_in_ids)


def _remembered(presented: str) -> CandidateKey | None:
    """The key as this process saw it last, for work that makes sure in its own statement that it is still good, as
    storing an event does: so a revocation takes effect at once everywhere. A fifth of what an event costs.

    Only redeemed keys are remembered, and of them the ids alone: they never change, and are nobody's name.
    """
    known = _known_keys.get(presented)
    if known is not None:
        return known
    found = _key(presented, _look_up_ids)
    if found is not None and found.own_session_id:
        if len(_known_keys) >= MOST_KNOWN_KEYS:
            _known_keys.clear()
        _known_keys[presented] = found
    return found


def _candidate_as_bearer(presented: str) -> CandidateKey | None:
    scheme, _, key = presented.strip().partition(" ")
    return _candidate(key) if scheme.lower() == "bearer" else None


# What is absent goes on to the next; what is wrong stops.
CHAIN: Chain = (("Authorization", _reviewer), ("X-API-Key", _candidate))
# A candidate's key may also stand where a reviewer's token stands elsewhere (R1).
EITHER_HEADER: Chain = (("Authorization", _candidate_as_bearer), ("X-API-Key", _candidate))
# A redeemed key is looked up once, and later by the work's own statement: see _remembered.
REMEMBERED: Chain = (CHAIN[0], ("X-API-Key", _remembered))
# A candidate's key comes with its assessment.
WITH_ASSESSMENT: Chain = (CHAIN[0], ("X-API-Key", partial(_key, look_up=Compiled(_key_with_assessment))))

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
_SCHEME_OF = {ApiToken: "reviewerToken", CandidateKey: "candidateKey"}


def security_of(view: Any) -> list[dict[str, list]]:
    """The operation's `security` in OpenAPI: any one of the kinds of credential that it takes, or none at all."""
    kinds, _ = getattr(view, "access", ((), None))
    schemes = [_SCHEME_OF[kind] for kind in get_args(kinds) or (kinds and (kinds,))]
    if getattr(view, "chain", None) is EITHER_HEADER:
        schemes.append("candidateBearer")
    return [{scheme: []} for scheme in schemes]
