"""Limit requests per credential.

Requests are counted by the credential's fingerprint, before the credential is looked up. Requests without a credential
and requests to public operations are counted by network. access/credential_throttling.py limits invalid credentials.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, current_app, g, request
from limits import parse

from access import console
from access.addresses import AddressMonitor, get_networks
from access.counters import Counters, Usage, fingerprint
from access.credential_throttling import LIMIT_SETTING, CredentialThrottle
from config import is_local_url

DEFAULT, INGEST, WEBHOOK_TESTS = "RATELIMIT_DEFAULT", "RATELIMIT_INGEST", "RATELIMIT_WEBHOOK_TESTS"
SIGN_IN_EMAILS = "RATELIMIT_SIGN_IN_EMAILS"
SIGN_IN_NETWORK_FACTOR = 20  # multiplies the limit for one mailbox
HEADERS = ("Authorization", "X-API-Key")


def limit(setting: str | None) -> Callable:
    """Limit an operation by `setting` instead of RATELIMIT_DEFAULT; None disables the limit."""

    def decorate(view: Any) -> Any:
        view.rate_limit = setting
        return view

    return decorate


def get_limit_setting(view: Any) -> str | None:
    return getattr(view, "rate_limit", DEFAULT)


def count(setting: str, subject: Any, allowance: int = 1) -> None:
    """Count an operation by `subject` against the setting's limit times `allowance`. Raises TooManyRequests."""
    if limiter := current_app.extensions.get("rate_limiter"):
        limiter.count(setting, str(subject), allowance)


def count_sign_in() -> None:
    """Count a sign-in attempt against the limits of the client's networks. Raises TooManyRequests."""
    for network in get_networks(request.remote_addr or ""):
        name = f"{request.endpoint} {network.name}"
        count(SIGN_IN_EMAILS, name, SIGN_IN_NETWORK_FACTOR * network.allowance)


def count_unsigned(subject: Any) -> None:
    """Count a request without a valid signature, by `subject` and the client's network. Raises TooManyRequests."""
    network = get_networks(request.remote_addr or "")[0]
    count(DEFAULT, f"{request.endpoint} {subject} {network.name}")


def register(app: Flask) -> None:
    """Limit API operations and clones, but not pages or documents, if RATELIMIT_ENABLED is set."""
    if app.config["RATELIMIT_ENABLED"]:
        counters = Counters(app.config["RATELIMIT_STORAGE_URL"])
        app.extensions["credential_throttle"] = CredentialThrottle(parse(app.config[LIMIT_SETTING]), counters)
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
        setting = view and request.path.startswith(("/v1/", "/git/")) and get_limit_setting(view)
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
    """Return the id that a request counts against: its credential's fingerprint, or its network."""
    # As in authentication, only the first header that is present counts.
    credential = next((value for name in HEADERS if (value := request.headers.get(name)) is not None), None)
    # Another site's page must not use up the user's requests.
    if credential is None and "signIn" in getattr(view, "schemes", ()) and console.is_from_console():
        credential = console.presented_secret()
    if credential and hasattr(view, "access"):
        # Letter case, whitespace and the header do not make it a different credential.
        return f"credential:{fingerprint(''.join(credential.split()).upper().removeprefix('BEARER'))}"
    return f"address:{get_networks(request.remote_addr or '')[0].name}"
