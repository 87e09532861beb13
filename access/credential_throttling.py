"""Lock a network that sends too many invalid credentials. Credentials previously accepted from it still work.

Every credential, in any part of a request, is looked up within `lookup()` or `lookup_secret()`.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import NamedTuple

from flask import current_app, g, request
from limits import RateLimitItem, parse

from access.addresses import Network, get_networks, ignore_database_errors
from access.counters import Counters, Usage, fingerprint
from errors import KeyExpired, KeyNotFound, SignInExpired, Unauthenticated
from models import AcceptedSender, AccessHour, clock, db
from rules import candidate_keys
from web.access_log import record_invalid_credential

LIMIT_SETTING, ACCEPTED = "RATELIMIT_INVALID_CREDENTIALS", "accepted"
INVALID_CREDENTIAL_ERRORS = (Unauthenticated, KeyNotFound, KeyExpired, SignInExpired)
# A client can repeat a revoked key hundreds of times. That must not lock out others in its network.
ONE_ATTEMPT = parse("1 per hour")
# Without a limit, a client with a large network could fill the table.
MAX_NETWORKS_PER_CREDENTIAL = parse("50 per day")
MAX_ACCEPTED = 10_000
MAX_UNWRITTEN = 250
WRITE_INTERVAL_SECONDS = 60


class Sender(NamedTuple):
    """A credential and the narrowest network of the client that sent it."""

    network: str
    credential: str


@contextmanager
def lookup(credential: str) -> Iterator[None]:
    """Count the credential as invalid if the block raises INVALID_CREDENTIAL_ERRORS, otherwise record it as accepted.

    Call it outside a transaction. A credential counts once per request. Raises TooManyRequests if the client's network
    is locked.
    """
    throttle = current_app.extensions.get("credential_throttle")
    if throttle is None or not credential or credential == g.get("looked_up_credential"):
        yield
        return
    g.looked_up_credential = credential
    networks = get_networks(request.remote_addr or "")
    # Letter case and whitespace do not make it a different key.
    sender = Sender(networks[0].name, candidate_keys.normalize(credential) or credential)
    throttle.require_unlocked(sender, networks)
    try:
        yield
    except INVALID_CREDENTIAL_ERRORS:
        throttle.record_invalid(sender, networks)
        raise
    throttle.accepted.add(sender)


@contextmanager
def lookup_secret(secret: str) -> Iterator[None]:
    """Look up a secret of 256 random bits. It cannot be guessed, so a valid one works even from a locked network."""
    try:
        yield
    except INVALID_CREDENTIAL_ERRORS:
        with lookup(secret):
            raise


class CredentialThrottle:
    """Counts invalid credentials per network, and records accepted senders.

    limit -- distinct invalid credentials per network, multiplied by the network's allowance
    """

    def __init__(self, limit: RateLimitItem, counters: Counters) -> None:
        self._limit, self._counters = limit, counters
        self.accepted = AcceptedSenders(counters)
        self._total = InvalidCredentialTotal()

    def require_unlocked(self, sender: Sender, networks: tuple[Network, ...]) -> None:
        """Raise TooManyRequests if a network is at its limit and the sender was not accepted before."""
        if self.accepted.is_cached(sender):
            return
        usages = (self._usage(network) for network in networks)
        locked = next((usage for usage in usages if usage.used >= usage.limit), None)
        if locked and not self.accepted.contains(sender):
            self._record()
            g.rate_limit = locked
            raise locked.error

    def _usage(self, network: Network) -> Usage:
        used = self._counters.get(self._limit, LIMIT_SETTING, network.name)
        return Usage(self._limit.amount * network.allowance, *used)

    def record_invalid(self, sender: Sender, networks: tuple[Network, ...]) -> None:
        digest = fingerprint(sender.credential)
        for network in networks:
            count, _ = self._counters.hit(ONE_ATTEMPT, network.name, digest)
            if count == 1:
                self._counters.hit(self._limit, LIMIT_SETTING, network.name)
            if count == 1 and network is networks[0]:
                self._record()
        self.accepted.remove(sender)

    def _record(self) -> None:
        record_invalid_credential()
        self._total.add()


class AcceptedSenders:
    """Senders of accepted credentials, shared by all processes through the database.

    Each process writes a sender once a day, and reads only senders that it has not accepted itself.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._written: dict[Sender, date] = {}

    def is_cached(self, sender: Sender) -> bool:
        """Return whether this process accepted the sender."""
        return sender in self._written

    def contains(self, sender: Sender) -> bool:
        """Return whether any process accepted the sender."""
        if is_recorded := AcceptedSender.is_recorded(*sender):
            self._written[sender] = date.min
        return is_recorded

    def add(self, sender: Sender) -> None:
        today = clock.now().date()
        if self._written.get(sender) == today:
            return
        if len(self._written) >= MAX_ACCEPTED:
            self._written.clear()
        self._written[sender] = today
        networks, _ = self._counters.hit(
            MAX_NETWORKS_PER_CREDENTIAL, ACCEPTED, fingerprint(sender.credential)
        )
        if networks <= MAX_NETWORKS_PER_CREDENTIAL.amount:
            with ignore_database_errors(), db.atomic():
                AcceptedSender.record(*sender)

    def remove(self, sender: Sender) -> None:
        """Delete a sender whose credential is no longer valid, if this process has accepted it."""
        if self._written.pop(sender, None) is not None:
            with ignore_database_errors(), db.atomic():
                AcceptedSender.delete_sender(*sender)


class InvalidCredentialTotal:
    """Counts all invalid credentials. Writes the sum once a minute, or every MAX_UNWRITTEN credentials."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unwritten, self._write_at = 0, 0.0

    def add(self) -> None:
        with self._lock:
            self._unwritten += 1
            if self._unwritten < MAX_UNWRITTEN and time.monotonic() < self._write_at:
                return
            count, self._unwritten = self._unwritten, 0
            self._write_at = time.monotonic() + WRITE_INTERVAL_SECONDS
        with ignore_database_errors(), db.atomic():
            AccessHour.add_invalid_credentials(count)
