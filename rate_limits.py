"""Too much: how many requests a credential may send, an address without one, and how many wrong guesses.

What counts is who is calling, not what they find: requests are counted by a fingerprint of the credential as it is
presented, before anybody looks it up. So that made-up credentials are no way around it, guesses are counted by
address.
"""

import hashlib
import ipaddress
import logging
import time
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

from flask import Flask, Response, current_app, g, request
from flask_limiter import Limit, Limiter, RequestLimit
from limits import parse

from errors import KeyNotFound
from models.base import Setback

log = logging.getLogger("proofstone.rate_limits")

DEFAULT, INGEST, REFUSED = "RATELIMIT_DEFAULT", "RATELIMIT_INGEST", "RATELIMIT_REFUSED"
# The same wrong credential again is no new guess: a client with a revoked key may come hundreds of times, and must
# not lock its neighbours out.
SAME_GUESS = parse("1 per hour")
STORE_SECONDS = 1
MOST_KNOWN = 10_000


def counts_under(setting: str | None) -> Callable:
    """Let an operation count under another setting than RATELIMIT_DEFAULT; None: it is never too much."""

    def decorate(view: Any) -> Any:
        view.allowance = setting
        return view

    return decorate


def allowance_of(view: Any) -> str | None:
    return getattr(view, "allowance", DEFAULT)


def register(app: Flask) -> None:
    """Limit the operations of the API, if the settings say so; pages and documents are not limited."""
    if not app.config["RATELIMIT_ENABLED"]:
        return
    store = app.config["RATELIMIT_STORAGE_URL"]
    guesses = Guesses()
    if not store:
        app.before_request(partial(_count_anew, guesses, Setback()))
    limiter = Limiter(
        credential_or_address,
        app=app,
        default_limits=_limits(app.config, guesses),
        storage_uri=store or "memory://",
        storage_options=_patience() if store else {},
        key_prefix="proofstone",
        # While the store is away each process counts for itself; flask-limiter says so in the log.
        in_memory_fallback_enabled=bool(store),
        swallow_errors=True,
    )
    guesses.limiter = limiter
    app.after_request(partial(_tell, limiter))
    app.after_request(guesses.learn)


def _count_anew(guesses: "Guesses", setback: Setback) -> None:
    """After the clock was set back: a minute that is used up would last until it has caught up."""
    if setback.has_happened:
        guesses.limiter.reset()
        setback.settle()


def _patience() -> dict[str, Any]:
    return {"socket_connect_timeout": STORE_SECONDS, "socket_timeout": STORE_SECONDS}


def _limits(settings: dict[str, Any], guesses: "Guesses") -> list[Any]:
    by_caller = Limit(partial(_allowed, settings), scope=_counted_under, shared=True)
    refused = Limit(
        settings[REFUSED],
        key_function=address,
        scope=REFUSED,
        shared=True,
        exempt_when=guesses.is_none,
        deduct_when=guesses.is_new,
    )
    return [by_caller, refused]


def _view() -> Any:
    return current_app.view_functions.get(request.endpoint or "")


def _counted_under(endpoint: str | None = None) -> str:
    """The setting whose allowance the request uses up; empty for none."""
    return (request.path.startswith("/v1/") and allowance_of(_view())) or ""


def _allowed(settings: dict[str, Any]) -> str:
    setting = _counted_under()
    return settings[setting] if setting else ""


# Who is calling, without asking the database


def credential_or_address() -> str:
    presented = _credential()
    return f"credential:{fingerprint(presented)}" if presented else f"address:{address()}"


def address() -> str:
    """Where the request comes from; of IPv6 the network, since whoever has one address there has 2^64."""
    try:
        found = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    mapped = getattr(found, "ipv4_mapped", None)
    if found.version == 4 or mapped:
        return str(mapped or found)
    return str(ipaddress.ip_network((found, 64), strict=False))


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _credential() -> str:
    return request.headers.get("Authorization") or request.headers.get("X-API-Key") or ""


class Guesses:
    """Refused tries of credentials and keys, each wrong one counted once an hour for its address.

    Once an address has guessed too often, what it presents is not looked at any more, unless this process has
    accepted the same from there before: who is in the middle of the work is not stopped by a neighbour.
    """

    def __init__(self) -> None:
        self.limiter: Any = None
        self._known: dict[tuple[str, str], None] = {}

    def is_none(self) -> bool:
        """Whether the request is no guess: what it presents was right a moment ago, or nobody looks at it.

        A right credential proves nothing of another key in the body.
        """
        return not _counted_under() or (not _takes_a_key() and self._presented() in self._known)

    def is_new(self, response: Response) -> bool:
        """Whether the answer refuses a guess that was not made in the last hour."""
        if not _refuses_a_guess(response):
            return False
        try:
            return self.limiter.limiter.hit(SAME_GUESS, "proofstone", address(), fingerprint(_guess()))
        except Exception as error:
            log.warning("A refused try could not be counted: %s", type(error).__name__)
            return False

    def learn(self, response: Response) -> Response:
        """Remember what was accepted where a credential is asked for, and forget what no longer is."""
        presented = self._presented()
        if response.status_code == 401:
            self._known.pop(presented, None)
        elif response.status_code < 400 and hasattr(_view(), "access"):
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[presented] = None
        return response

    @staticmethod
    def _presented() -> tuple[str, str]:
        return address(), fingerprint(_credential())


def _refuses_a_guess(response: Response) -> bool:
    return response.status_code == 401 or (response.status_code in (404, 410) and _takes_a_key())


def _takes_a_key() -> bool:
    """Whether the operation takes a candidate's key in body or query (R30)."""
    return KeyNotFound in getattr(_view(), "refusals", ())


def _guess() -> str:
    """What was presented: a credential, or the key in the body or the query."""
    if not _takes_a_key():
        return _credential()
    return str(g.get("body", {}).get("key") or request.args.get("key") or _credential())


# What the caller is told


def _tell(limiter: Limiter, response: Response) -> Response:
    """`X-RateLimit-*` for the caller's own allowance, and `Retry-After` where it is used up."""
    try:
        limit = _told(limiter.current_limits)
        if limit is not None:
            response.headers.update(_headers(limit))
    except Exception as error:
        log.warning("The store of the rate limits did not answer: %s", type(error).__name__)
    return response


def _told(limits: list[RequestLimit]) -> RequestLimit | None:
    breached = [limit for limit in limits if limit.breached]
    own = [limit for limit in limits if limit.request_args[-1] != REFUSED]
    return next(iter(breached or own), None)


def _headers(limit: RequestLimit) -> dict[str, str]:
    reset_at, remaining = limit.reset_at, limit.remaining
    headers = {
        "X-RateLimit-Limit": str(limit.limit.amount),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset_at),
    }
    return headers | ({"Retry-After": str(max(1, ceil(reset_at - time.time())))} if limit.breached else {})
