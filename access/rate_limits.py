"""Rate limits: requests per credential, and wrong credentials per address.

Requests are counted by the fingerprint of their credential before it is looked up; without one, and for operations
that need none, by address. Made-up credentials would evade that, so wrong ones are also counted by address.
"""

import hashlib
import ipaddress
import time
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

from flask import Flask, Response, current_app, g, request
from limits import RateLimitItem, parse

from access.counters import Counters
from errors import KeyNotFound, Refusal, TooManyRequests

DEFAULT, INGEST, REFUSED = "RATELIMIT_DEFAULT", "RATELIMIT_INGEST", "RATELIMIT_REFUSED"
WEBHOOK_TESTS = "RATELIMIT_WEBHOOK_TESTS"
# A client repeats a revoked key hundreds of times. That is one guess, and must not lock out its neighbors.
ONE_GUESS = parse("1 per hour")
MAX_ACCEPTED = 10_000


class Usage(NamedTuple):
    """The state of a limit until `reset_at`, in seconds since 1970."""

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

    @property
    def refusal(self) -> Refusal:
        seconds = max(1, ceil(self.reset_at - time.time()))
        return TooManyRequests(f"Too many requests. Retry after {seconds} seconds.", retry_after=seconds)


class LimitedRequest(NamedTuple):
    """The request's operation, address and credential, which has not been looked up."""

    view: Any
    address: str
    credential: str
    sender: tuple[str, str]  # the address, and the credential's fingerprint

    @classmethod
    def current(cls, view: Any) -> "LimitedRequest":
        credential = request.headers.get("Authorization") or request.headers.get("X-API-Key") or ""
        address = network_of(request.remote_addr or "")
        return cls(view, address, credential, (address, fingerprint(credential)))

    @property
    def needs_credential(self) -> bool:
        return hasattr(self.view, "access")

    @property
    def takes_key(self) -> bool:
        """Return whether the operation accepts a candidate key in its body or query (R30)."""
        return KeyNotFound in getattr(self.view, "refusals", ())

    @property
    def counted_as(self) -> str:
        if not self.credential or not self.needs_credential:
            return f"address:{self.address}"
        # Letter case and whitespace do not make it a different credential.
        return f"credential:{fingerprint(''.join(self.credential.split()).upper())}"

    @property
    def guess(self) -> str:
        key = self.takes_key and (g.get("body", {}).get("key") or request.args.get("key"))
        return str(key or self.credential)


def limit(setting: str | None) -> Callable:
    """Limit an operation by another setting than RATELIMIT_DEFAULT, or (with None) not at all."""

    def decorate(view: Any) -> Any:
        view.rate_limit = setting
        return view

    return decorate


def setting_of(view: Any) -> str | None:
    return getattr(view, "rate_limit", DEFAULT)


def count(setting: str, row_id: Any) -> None:
    """Count an operation on a row that has a limit of its own. Raises TooManyRequests if it is reached."""
    if limiter := current_app.extensions.get("rate_limiter"):
        limiter.count(setting, str(row_id))


def register(app: Flask) -> None:
    """Limit the operations of the API if RATELIMIT_ENABLED is set; pages and documents are not limited."""
    if app.config["RATELIMIT_ENABLED"]:
        limiter = app.extensions["rate_limiter"] = RateLimiter(app.config)
        app.before_request(limiter.check)
        app.after_request(limiter.finish)


class RateLimiter:
    """Counts each request before it is processed, and each refused guess after it."""

    def __init__(self, settings: Any) -> None:
        self._limits = {name: parse(settings[name]) for name in (DEFAULT, INGEST, REFUSED, WEBHOOK_TESTS)}
        self._counters = Counters(settings["RATELIMIT_STORAGE_URL"])
        # The senders of recently accepted credentials.
        self._accepted: dict[tuple[str, str], None] = {}

    def check(self) -> None:
        """Count the request. Raises TooManyRequests if the caller's or the address' limit is reached."""
        view = current_app.view_functions.get(request.endpoint or "")
        setting = view and request.path.startswith("/v1/") and setting_of(view)
        if not setting:
            return
        limited = g.limited_request = LimitedRequest.current(view)
        usage = g.rate_limit = self._hit(self._limits[setting], setting, limited.counted_as)
        if usage.used > usage.limit:
            raise usage.refusal
        self._refuse_guesses(limited)

    def count(self, setting: str, row_id: str) -> None:
        usage = self._hit(self._limits[setting], setting, row_id)
        if usage.used > usage.limit:
            g.rate_limit = usage
            raise usage.refusal

    def _refuse_guesses(self, limited: LimitedRequest) -> None:
        """Refuse an address that guessed too often, except credentials that were accepted from it before.

        An accepted credential does not vouch for another key in the body.
        """
        if limited.sender in self._accepted and not limited.takes_key:
            return
        limit = self._limits[REFUSED]
        usage = Usage(limit.amount, *self._counters.get(limit, REFUSED, limited.address))
        if usage.used >= usage.limit:
            g.rate_limit = usage
            raise usage.refusal

    def finish(self, response: Response) -> Response:
        """Set `X-RateLimit-*`, count a refused guess and remember an accepted credential."""
        if (usage := g.get("rate_limit")) is None:
            return response
        response.headers.extend(usage.headers)
        limited, status = g.limited_request, response.status_code
        if status == 401 or (status in (404, 410) and limited.takes_key):
            guess = self._hit(ONE_GUESS, limited.address, fingerprint(limited.guess))
            if guess.used == 1:
                self._hit(self._limits[REFUSED], REFUSED, limited.address)
        if status == 401:
            self._accepted.pop(limited.sender, None)
        elif status < 400 and limited.needs_credential:
            if len(self._accepted) >= MAX_ACCEPTED:
                self._accepted.clear()
            self._accepted[limited.sender] = None
        return response

    def _hit(self, limit: RateLimitItem, *ids: str) -> Usage:
        return Usage(limit.amount, *self._counters.hit(limit, *ids))


@lru_cache(MAX_ACCEPTED)
def network_of(address: str) -> str:
    """The IPv4 address, or the /64 network of an IPv6 address: a subscriber has 2^64 addresses."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False))


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
