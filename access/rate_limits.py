"""Too much: how many requests a credential may send, an address where none is asked for, and how many wrong guesses.

What counts is who is calling, not what they find: requests are counted by a fingerprint of the credential, however it
is spelt, before anybody looks it up. So that made-up credentials are no way around it, guesses are counted by
address, and so is every request to an operation that looks at none. The library `limits` counts; Flask-Limiter, which
it comes from, took a quarter of a short request.
"""

import hashlib
import ipaddress
import time
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

from flask import Flask, Request, Response, current_app, g, request
from limits import RateLimitItem, parse

from access.counters import Allowances
from errors import KeyNotFound, TooManyRequests

DEFAULT, INGEST, REFUSED = "RATELIMIT_DEFAULT", "RATELIMIT_INGEST", "RATELIMIT_REFUSED"
# The same wrong credential again is no new guess: a client with a revoked key may come hundreds of times, and must
# not lock its neighbours out.
SAME_GUESS = parse("1 per hour")
MOST_KNOWN = 10_000


class Use(NamedTuple):
    """What a request has left of an allowance: `used` of `most`, until the second `reset_at` since 1970."""

    most: int
    used: int
    reset_at: float

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.most),
            "X-RateLimit-Remaining": str(max(0, self.most - self.used)),
            "X-RateLimit-Reset": str(int(self.reset_at)),
        }


class Asked(NamedTuple):
    """Who asks for what, without asking the database."""

    view: Any
    address: str
    credential: str
    presented: tuple[str, str]  # the address, and a fingerprint of the credential

    @classmethod
    def by(cls, asking: Request, view: Any) -> "Asked":
        told = asking.environ
        credential = told.get("HTTP_AUTHORIZATION") or told.get("HTTP_X_API_KEY") or ""
        at = network_of(asking.remote_addr or "")
        return cls(view, at, credential, (at, fingerprint(credential)))

    @property
    def whose(self) -> str:
        if not self.credential or not self.asks_for_a_credential:
            return f"address:{self.address}"
        # Case and white space, which where it is looked up do not count, make no other credential of it.
        return f"credential:{fingerprint(''.join(self.credential.split()).upper())}"

    @property
    def asks_for_a_credential(self) -> bool:
        return hasattr(self.view, "access")

    @property
    def takes_a_key(self) -> bool:
        """Whether the operation takes a candidate's key in body or query (R30)."""
        return KeyNotFound in getattr(self.view, "refusals", ())

    @property
    def guess(self) -> str:
        """What was presented: a credential, or the key in the body or the query."""
        if not self.takes_a_key:
            return self.credential
        return str(g.get("body", {}).get("key") or request.args.get("key") or self.credential)

    def is_refused_by(self, response: Response) -> bool:
        return response.status_code == 401 or (response.status_code in (404, 410) and self.takes_a_key)


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
    if app.config["RATELIMIT_ENABLED"]:
        limits = RateLimiter(app.config)
        app.before_request(limits.count)
        app.after_request(limits.tell)


class RateLimiter:
    """Before a request it is counted, after it the caller is told, and a refused guess is counted."""

    def __init__(self, settings: Any) -> None:
        self._limits = {name: parse(settings[name]) for name in (DEFAULT, INGEST, REFUSED)}
        self._allowances = Allowances(settings["RATELIMIT_STORAGE_URL"])
        # What was accepted of late, by the address that it came from.
        self._known: dict[tuple[str, str], None] = {}

    def count(self) -> None:
        """Raise TooManyRequests where the caller's allowance, or the address' one for guesses, is used up."""
        # Each look through Flask's proxies costs as much as what is looked for.
        asking: Any = request._get_current_object()  # type: ignore[attr-defined]
        here = g._get_current_object()
        view = _view(asking)
        setting = view and allowance_of(view)
        if not setting:
            return
        asked = here.asked = Asked.by(asking, view)
        use = here.use = self._hit(self._limits[setting], setting, asked.whose)
        if use.used > use.most:
            raise _too_many()
        self._refuse_guessers(asked)

    def _hit(self, limit: RateLimitItem, *ids: str) -> Use:
        used, reset_at = self._allowances.hit(limit, *ids)
        return Use(limit.amount, used, reset_at)

    # Refused tries of credentials and keys, each wrong one counted once an hour for its address.

    def _refuse_guessers(self, asked: Asked) -> None:
        """Once an address has guessed too often, what it presents is not looked at any more, unless this process has
        accepted the same from there before: who is in the middle of the work is not stopped by a neighbour.

        A right credential proves nothing of another key in the body.
        """
        if asked.presented in self._known and not asked.takes_a_key:
            return
        limit = self._limits[REFUSED]
        used, reset_at = self._allowances.used(limit, REFUSED, asked.address)
        if used >= limit.amount:
            g.use = Use(limit.amount, used, reset_at)
            raise _too_many()

    def tell(self, response: Response) -> Response:
        """`X-RateLimit-*`; and learn from the answer."""
        here = g._get_current_object()
        if (use := here.get("use")) is None:
            return response
        response.headers.extend(use.headers)
        asked = here.asked
        if asked.is_refused_by(response) and self._is_new(asked):
            self._hit(self._limits[REFUSED], REFUSED, asked.address)
        self._learn(asked, response)
        return response

    def _is_new(self, asked: Asked) -> bool:
        return self._hit(SAME_GUESS, asked.address, fingerprint(asked.guess)).used == 1

    def _learn(self, asked: Asked, response: Response) -> None:
        """Remember what was accepted where a credential is asked for, and forget what no longer is."""
        if response.status_code == 401:
            self._known.pop(asked.presented, None)
        elif response.status_code < 400 and asked.asks_for_a_credential:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[asked.presented] = None


def _too_many() -> TooManyRequests:
    return TooManyRequests(retry_after=max(1, ceil(g.use.reset_at - time.time())))


def _view(asking: Request) -> Any:
    """The operation that is asked for; None for what is no part of the API."""
    is_of_api = asking.path.startswith("/v1/")
    return current_app.view_functions.get(asking.endpoint or "") if is_of_api else None


@lru_cache(MOST_KNOWN)
def network_of(address: str) -> str:
    """Where a request comes from; of IPv6 the network, since whoever has one address there has 2^64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    mapped = getattr(found, "ipv4_mapped", None)
    if found.version == 4 or mapped:
        return str(mapped or found)
    return str(ipaddress.ip_network((found, 64), strict=False))


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
