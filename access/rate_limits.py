"""Rate limits: requests per credential, and wrong credentials per address.

Requests are counted by a fingerprint of the credential before it is looked up; without one, and for operations that
take none, by address. Made-up credentials would evade that, so wrong ones are counted by address too. The library
`limits` counts.
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

from access.counters import Counters
from errors import KeyNotFound, Refusal, TooManyRequests

DEFAULT, INGEST, REFUSED = "RATELIMIT_DEFAULT", "RATELIMIT_INGEST", "RATELIMIT_REFUSED"
# A client with a revoked key repeats it hundreds of times; that is one guess, and must not lock its neighbors out.
ONE_GUESS = parse("1 per hour")
MAX_ACCEPTED = 10_000


class Usage(NamedTuple):
    """How much of a limit is used, until `reset_at` in seconds since 1970."""

    limit: int
    used: int
    reset_at: float

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Reset": str(int(self.reset_at)),
        }


class LimitedRequest(NamedTuple):
    """A request, its address and its credential, which is not looked up yet."""

    view: Any
    address: str
    credential: str
    presented: tuple[str, str]  # the address, and a fingerprint of the credential

    @classmethod
    def of(cls, req: Request, view: Any) -> "LimitedRequest":
        headers = req.environ
        credential = headers.get("HTTP_AUTHORIZATION") or headers.get("HTTP_X_API_KEY") or ""
        address = network_of(req.remote_addr or "")
        return cls(view, address, credential, (address, fingerprint(credential)))

    @property
    def counted_as(self) -> str:
        if not self.credential or not self.needs_credential:
            return f"address:{self.address}"
        # Letter case and white space do not make another credential.
        return f"credential:{fingerprint(''.join(self.credential.split()).upper())}"

    @property
    def needs_credential(self) -> bool:
        return hasattr(self.view, "access")

    @property
    def takes_key(self) -> bool:
        """Whether the operation takes a candidate key in its body or query (R30)."""
        return KeyNotFound in getattr(self.view, "refusals", ())

    @property
    def guess(self) -> str:
        """The credential, or the key in the body or the query."""
        if not self.takes_key:
            return self.credential
        return str(g.get("body", {}).get("key") or request.args.get("key") or self.credential)

    def is_refused_by(self, response: Response) -> bool:
        return response.status_code == 401 or (response.status_code in (404, 410) and self.takes_key)


def limit(setting: str | None) -> Callable:
    """Count an operation under another setting than RATELIMIT_DEFAULT; None: unlimited."""

    def decorate(view: Any) -> Any:
        view.rate_limit = setting
        return view

    return decorate


def setting_of(view: Any) -> str | None:
    return getattr(view, "rate_limit", DEFAULT)


def register(app: Flask) -> None:
    """Limit the operations of the API, if the settings say so; pages and documents are not limited."""
    if app.config["RATELIMIT_ENABLED"]:
        limiter = RateLimiter(app.config)
        app.before_request(limiter.check)
        app.after_request(limiter.finish)


class RateLimiter:
    """Counts each request before it is processed, and each refused guess after it."""

    def __init__(self, settings: Any) -> None:
        self._limits = {name: parse(settings[name]) for name in (DEFAULT, INGEST, REFUSED)}
        self._counters = Counters(settings["RATELIMIT_STORAGE_URL"])
        # Credentials accepted recently, by the address that they came from.
        self._accepted: dict[tuple[str, str], None] = {}

    def check(self) -> None:
        """Count the request. Raises TooManyRequests if the caller's or the address' limit is reached."""
        view = _view(request)
        setting = view and setting_of(view)
        if not setting:
            return
        limited = g.limited_request = LimitedRequest.of(request, view)
        usage = g.rate_limit = self._hit(self._limits[setting], setting, limited.counted_as)
        if usage.used > usage.limit:
            raise _too_many_requests(usage)
        self._refuse_guesses(limited)

    def _hit(self, limit: RateLimitItem, *ids: str) -> Usage:
        used, reset_at = self._counters.hit(limit, *ids)
        return Usage(limit.amount, used, reset_at)

    def _refuse_guesses(self, limited: LimitedRequest) -> None:
        """Refuse an address that guessed too often, except credentials that were accepted from it before.

        An accepted credential says nothing about another key in the body.
        """
        if limited.presented in self._accepted and not limited.takes_key:
            return
        limit = self._limits[REFUSED]
        used, reset_at = self._counters.get(limit, REFUSED, limited.address)
        if used >= limit.amount:
            g.rate_limit = Usage(limit.amount, used, reset_at)
            raise _too_many_requests(g.rate_limit)

    def finish(self, response: Response) -> Response:
        """Set `X-RateLimit-*`, count a refused guess and remember an accepted credential."""
        if (usage := g.get("rate_limit")) is None:
            return response
        response.headers.extend(usage.headers)
        limited = g.limited_request
        if limited.is_refused_by(response) and self._is_new_guess(limited):
            self._hit(self._limits[REFUSED], REFUSED, limited.address)
        self._remember(limited, response)
        return response

    def _is_new_guess(self, limited: LimitedRequest) -> bool:
        return self._hit(ONE_GUESS, limited.address, fingerprint(limited.guess)).used == 1

    def _remember(self, limited: LimitedRequest, response: Response) -> None:
        if response.status_code == 401:
            self._accepted.pop(limited.presented, None)
        elif response.status_code < 400 and limited.needs_credential:
            if len(self._accepted) >= MAX_ACCEPTED:
                self._accepted.clear()
            self._accepted[limited.presented] = None


def _too_many_requests(usage: Usage) -> Refusal:
    seconds = max(1, ceil(usage.reset_at - time.time()))
    return TooManyRequests(f"Too many requests. Retry after {seconds} seconds.", retry_after=seconds)


def _view(req: Request) -> Any:
    """The requested operation; None outside the API."""
    is_api = req.path.startswith("/v1/")
    return current_app.view_functions.get(req.endpoint or "") if is_api else None


@lru_cache(MAX_ACCEPTED)
def network_of(address: str) -> str:
    """The address; of IPv6 its /64, since each subscriber has 2^64 addresses."""
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
