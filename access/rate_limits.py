"""Limit requests per credential.

A request is counted before its credential is looked up, by the credential's fingerprint. Public operations and requests
without a credential are counted by network. access/credential_throttling.py limits made-up credentials.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, current_app, g, request
from limits import parse

from access import console
from access.addresses import AddressMonitor, networks_of
from access.counters import Counters, Usage, fingerprint
from access.credential_throttling import INVALID_CREDENTIALS, CredentialThrottle
from config import is_local_url

DEFAULT, INGEST, WEBHOOK_TESTS = "RATELIMIT_DEFAULT", "RATELIMIT_INGEST", "RATELIMIT_WEBHOOK_TESTS"
SIGN_IN_EMAILS = "RATELIMIT_SIGN_IN_EMAILS"
SIGN_INS_PER_NETWORK = 20  # times the limit for one mailbox
HEADERS = ("Authorization", "X-API-Key")


def limit(setting: str | None) -> Callable:
    """Limit an operation by `setting` instead of RATELIMIT_DEFAULT; None disables the limit."""

    def decorate(view: Any) -> Any:
        view.rate_limit = setting
        return view

    return decorate


def setting_of(view: Any) -> str | None:
    return getattr(view, "rate_limit", DEFAULT)


def count(setting: str, row_id: Any, allowance: int = 1) -> None:
    """Count an operation against the row's limit, multiplied by `allowance`. Raises TooManyRequests."""
    if limiter := current_app.extensions.get("rate_limiter"):
        limiter.count(setting, str(row_id), allowance)


def count_sign_in() -> None:
    """Count a sign-in attempt against the limits for the client's networks. Raises TooManyRequests."""
    for network in networks_of(request.remote_addr or ""):
        name = f"{request.endpoint} {network.name}"
        count(SIGN_IN_EMAILS, name, SIGN_INS_PER_NETWORK * network.allowance)


def register(app: Flask) -> None:
    """Limit the API's operations if RATELIMIT_ENABLED is set; pages and documents are not limited."""
    if app.config["RATELIMIT_ENABLED"]:
        counters = Counters(app.config["RATELIMIT_STORAGE_URL"])
        app.extensions["credential_throttle"] = CredentialThrottle(
            parse(app.config[INVALID_CREDENTIALS]), counters
        )
        limiter = app.extensions["rate_limiter"] = RateLimiter(app.config, counters)
        app.before_request(limiter.check)
        app.after_request(limiter.set_headers)


class RateLimiter:
    """Counts each request before it is processed."""

    def __init__(self, settings: Any, counters: Counters) -> None:
        names = (DEFAULT, INGEST, WEBHOOK_TESTS, SIGN_IN_EMAILS)
        self._limits = {name: parse(settings[name]) for name in names}
        self._counters = counters
        self._monitor = None if is_local_url(settings["BASE_URL"]) else AddressMonitor()

    def check(self) -> None:
        """Count the request. Raises TooManyRequests above the limit for its credential or network."""
        view = current_app.view_functions.get(request.endpoint or "")
        setting = view and request.path.startswith("/v1/") and setting_of(view)
        if not setting:
            return
        if self._monitor:
            self._monitor.record(request.remote_addr or "")
        g.rate_limit = self.count(setting, _client_id(view))

    def count(self, setting: str, client_id: str, allowance: int = 1) -> Usage:
        limit = self._limits[setting]
        usage = Usage(limit.amount * allowance, *self._counters.hit(limit, setting, client_id))
        if usage.used > usage.limit:
            g.rate_limit = usage
            raise usage.error
        return usage

    def set_headers(self, response: Response) -> Response:
        """Set `X-RateLimit-*`."""
        if (usage := g.get("rate_limit")) is not None:
            response.headers.extend(usage.headers)
        return response


def _client_id(view: Any) -> str:
    """Return the id to count a request by: its credential's fingerprint, or its network."""
    # As in authentication, the first header that is present decides.
    credential = next((text for name in HEADERS if (text := request.headers.get(name)) is not None), None)
    # A foreign page must not use up the user's requests.
    if credential is None and "signIn" in getattr(view, "schemes", ()) and console.is_from_console():
        credential = console.presented_secret()
    if credential and hasattr(view, "access"):
        # Letter case and whitespace do not make it a different credential.
        return f"credential:{fingerprint(''.join(credential.split()).upper())}"
    return f"address:{networks_of(request.remote_addr or '')[0].name}"
