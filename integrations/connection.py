"""Call a system's API for its adapter: allowed hosts, pace, errors and statistics.

Only one worker thread at a time serves an integration; web processes can call its system, too. Each process makes the
calls one after the other.
"""

import base64
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from email.message import Message
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import orjson

from delivery import http
from integrations import secrets
from integrations.adapter import CallFailed, CredentialRejected, Rejected, TemporaryFailure, as_dict, as_list
from integrations.chat import chats
from integrations.systems import adapters
from integrations.tables import Integration, IntegrationCalls
from models.base import clock
from models.database import release_connection
from rules.delivery.retries import parse_retry_after
from rules.lenient_json import parse_json

USER_AGENT = "Proofstone/1"
TOTAL_SECONDS = 10.0
MAX_RESPONSE_BYTES = 1024 * 1024
# A call that would have to wait longer fails.
MAX_WAIT_SECONDS = 5.0
# For all calls of a request, or for an order or report, such as the pages of a list.
MAX_SECONDS = 60.0
NO_KEY_DELAY_SECONDS = 300
FINAL = (400, 404, 409, 422)
# The request was not sent.
NOT_CONNECTED = (socket.gaierror, ConnectionRefusedError, ssl.SSLCertVerificationError)

# Free text can contain personal data, so only codes are stored.
CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")

log = logging.getLogger("proofstone.integrations")

_settings: Mapping[str, Any] = {}


def use(settings: Mapping[str, Any]) -> None:
    """Call systems with INTEGRATION_HOSTS and WEBHOOK_ALLOWED_NETWORKS of these settings."""
    global _settings
    _settings = settings
    known = {host for module in (*adapters().values(), *chats().values()) for host in module.HOSTS}
    if unknown := sorted((settings["INTEGRATION_HOSTS"] or {}).keys() - known):
        hosts = f"{', '.join(unknown)}. Hosts that can be replaced: {', '.join(sorted(known))}"
        log.warning("INTEGRATION_HOSTS has hosts that no system uses: %s.", hosts)


class Reply(NamedTuple):
    """A successful response. `data` is its JSON, None without a body."""

    status: int
    headers: Message
    data: Any


class _State:
    """A process's state for one credential of an integration.

    token -- for the adapter
    next_at -- monotonic time before which no call is made
    """

    def __init__(self, credential: str):
        self.credential = credential
        self.token: dict[str, Any] = {}
        self.lock, self.next_at = threading.Lock(), 0.0


_states: dict[Any, _State] = {}


def connect(integration: Integration) -> "Connection":
    """Return a connection for the adapter of the integration."""
    return Connection(integration, _settings)


class Connection:
    """An adapter's access to a system for MAX_SECONDS.

    settings -- the adapter's SETTINGS
    token -- the process's cache for access tokens, emptied when the credential is replaced
    """

    def __init__(self, integration: Integration, settings: Mapping[str, Any]):
        self._integration, self._adapter = integration, adapters()[integration.system]
        self._hosts = settings["INTEGRATION_HOSTS"] or {}
        self._allowed_networks = settings["WEBHOOK_ALLOWED_NETWORKS"] or ()
        state = _states.get(integration.id)
        if state is None or state.credential != integration.credential:
            state = _states[integration.id] = _State(integration.credential)
        self._state = state
        limit = self._adapter.LIMIT
        self._seconds_per_call = limit.seconds / limit.requests
        self.settings, self.token = integration.settings, state.token
        self._end = time.monotonic() + MAX_SECONDS

    @cached_property
    def credential(self) -> dict[str, str]:
        """The adapter's CREDENTIAL. Raises TemporaryFailure if its key is missing."""
        try:
            return secrets.read_credential(self._integration)
        except secrets.Undecryptable:
            message = "The credential's key is not in INTEGRATION_KEYS. Add it, or replace the credential."
            self._integration.update_columns(last_error=message, last_error_at=clock.now())
            delay = NO_KEY_DELAY_SECONDS
            raise TemporaryFailure(message, is_unknown=False, retry_after_seconds=delay) from None

    def call(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request to one of the adapter's hosts. Raises CallFailed.

        basic -- user name and password
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname not in self._adapter.HOSTS:
            raise ValueError(f"{url} is not an https URL of the adapter's HOSTS.")
        target = self._hosts.get(parts.hostname, f"https://{parts.netloc}") + parts.path
        if params:
            target += f"?{urlencode(params)}"
        all_headers, body = {"User-Agent": USER_AGENT, "Accept": "application/json"}, None
        if json is not None:
            all_headers["Content-Type"], body = "application/json", orjson.dumps(json)
        elif form is not None:
            all_headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        if basic:
            all_headers["Authorization"] = f"Basic {base64.b64encode(':'.join(basic).encode()).decode()}"
        elif bearer:
            all_headers["Authorization"] = f"Bearer {bearer}"
        self._require_time_left()
        release_connection()
        # A slow system must not block all of a web process's threads.
        if not self._state.lock.acquire(timeout=MAX_WAIT_SECONDS):
            message = f"Other calls to {self._adapter.NAME} are in progress. Try again."
            raise TemporaryFailure(message, is_unknown=False)
        try:
            self._wait()
            reply = self._send(method, target, all_headers | dict(headers or {}), body)
        except CallFailed as failure:
            self._record(failure)
            raise
        finally:
            self._state.lock.release()
        self._record()
        return reply

    def _require_time_left(self) -> None:
        if time.monotonic() > self._end:
            message = f"{self._adapter.NAME} needed more than {MAX_SECONDS:.0f} seconds for all calls."
            raise TemporaryFailure(message, is_unknown=False)
        seconds = self._held_seconds()
        if seconds > MAX_WAIT_SECONDS:
            message = f"Calls to {self._adapter.NAME} are paused for another {seconds:.0f} seconds."
            raise TemporaryFailure(message, is_unknown=False, retry_after_seconds=seconds)

    def _held_seconds(self) -> float:
        held_until = self._integration.held_until
        return (held_until - clock.now()).total_seconds() if held_until else 0.0

    def _wait(self) -> None:
        time.sleep(max(0.0, self._state.next_at - time.monotonic(), self._held_seconds()))

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Reply:
        name = self._adapter.NAME
        try:
            response = http.send(
                *(method, url, headers, body, self._allowed_networks),
                total_seconds=TOTAL_SECONDS,
                max_bytes=MAX_RESPONSE_BYTES + 1,
            )
        except http.ForbiddenDestination:
            message = f"{name}'s address is not public. Check INTEGRATION_HOSTS and WEBHOOK_ALLOWED_NETWORKS."
            raise TemporaryFailure(message, is_unknown=False) from None
        except http.ERRORS as error:
            is_unknown = not isinstance(error, NOT_CONNECTED)
            raise TemporaryFailure(http.describe(error, name), is_unknown=is_unknown) from None
        finally:
            self._state.next_at = time.monotonic() + self._seconds_per_call
        self._apply_rate_limit(response.headers)
        return self._check(response)

    def _apply_rate_limit(self, headers: Message) -> None:
        """Slow down when a fifth of the system's limit is left, and pause when nothing is left."""
        fifth = (_integer(headers.get("X-RateLimit-Limit")) or 0) / 5
        remaining = _integer(headers.get("X-RateLimit-Remaining"))
        if remaining == 0:
            seconds = (_integer(headers.get("X-RateLimit-Reset")) or 0) - clock.now().timestamp()
            self._integration.hold(seconds if seconds > 0 else self._adapter.LIMIT.seconds)
        elif remaining is not None and remaining < fifth:
            seconds = self._seconds_per_call * (fifth / remaining - 1)
            self._state.next_at += min(seconds, MAX_WAIT_SECONDS)

    def _check(self, response: http.Response) -> Reply:
        """Return a successful response's content. Raises CallFailed."""
        name, status = self._adapter.NAME, response.status
        if len(response.body) > MAX_RESPONSE_BYTES:
            raise TemporaryFailure(f"{name}'s response is larger than 1 MiB.", status)
        try:
            data = parse_json(response.body) if response.body.strip() else None
            is_json = True
        except (ValueError, RecursionError):
            data, is_json = None, False
        code = _find_code(data)
        suffix = f" ({code})." if code else "."
        message = f"{name} responded with {status}{suffix}"
        if status in (401, 403):
            raise CredentialRejected(message, status, code)
        if status in FINAL:
            raise Rejected(message, status, code)
        if not 200 <= status < 300:
            delay = parse_retry_after(response.headers.get("Retry-After"), clock.now()).total_seconds()
            raise TemporaryFailure(message, status, code, status >= 500, delay)
        if not is_json:
            raise TemporaryFailure(f"{name}'s response is not JSON.", status)
        if isinstance(data, dict) and data.get("success") is False:
            raise Rejected(f"{name} rejected the call{suffix}", status, code)
        return Reply(status, response.headers, data)

    def _record(self, failure: CallFailed | None = None) -> None:
        """Count the call, store its error, and pause calls after a temporary failure."""
        now, integration = clock.now(), self._integration
        columns: dict[str, Any] = {"last_call_at": now}
        if failure:
            columns |= {"last_error": failure.message, "last_error_at": now}
        if isinstance(failure, TemporaryFailure):
            integration.hold(failure.retry_after_seconds)
        integration.update_columns(**columns)
        calls, failures = IntegrationCalls.calls, IntegrationCalls.failures
        IntegrationCalls.insert(
            integration=integration, day=f"{now:%Y-%m-%d}", calls=1, failures=int(failure is not None)
        ).on_conflict(
            conflict_target=[IntegrationCalls.integration, IntegrationCalls.day],
            update={calls: calls + 1, failures: failures + int(failure is not None)},
        ).execute()


def _integer(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None


def _find_code(data: Any) -> str | None:
    """Return the code in an error's body, such as `missing_endpoint_permission`."""
    body = as_dict(data)
    for value in (body.get("code"), body.get("error"), body.get("errorInfo"), *as_list(body.get("errors"))):
        text = str(as_dict(value).get("code", value))
        if CODE.fullmatch(text):
            return text
        if "not found" in text.lower():
            return "not_found"
    return None
