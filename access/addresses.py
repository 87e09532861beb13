"""Client networks, and a warning if all requests come from a proxy's address."""

import ipaddress
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import peewee
from playhouse.pool import MaxConnectionsExceeded

from errors import error_for
from models import AccessHour, db
from models.access_hours import SEVERAL, current_hour

log = logging.getLogger("proofstone.rate_limits")

MAX_CACHED = 10_000
MIN_REQUESTS = 100
UNKNOWN = "unknown"
# An IPv6 subscriber has at least a /64, and often a /56 or /48. A wider network may belong to many subscribers, so it
# has a larger allowance.
IPV6_PREFIXES = ((64, 1), (56, 4), (48, 16))
SOLE_ADDRESS = (
    "All requests come from the private address %s. If it is a proxy's, set TRUSTED_PROXIES. "
    "Otherwise all clients share one limit for invalid credentials."
)


class Network(NamedTuple):
    """A client's network. Its limit for invalid credentials is multiplied by `allowance`."""

    name: str
    allowance: int


@lru_cache(MAX_CACHED)
def networks_of(address: str) -> tuple[Network, ...]:
    """Return the networks that contain an address, narrowest first; an IPv4 address is its own network."""
    ip = _parse(address)
    if ip is None:
        return (Network(UNKNOWN, 1),)
    if ip.version == 4:
        return (Network(str(ip), 1),)
    return tuple(
        Network(str(ipaddress.ip_network((ip, prefix), strict=False)), allowance)
        for prefix, allowance in IPV6_PREFIXES
    )


@lru_cache(MAX_CACHED)
def is_private(address: str) -> bool:
    """Return whether the address is not public; a Unix socket has no address."""
    ip = _parse(address)
    return ip is None or not ip.is_global


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


class AddressMonitor:
    """Report hourly, and log once, that all of this process's requests come from one private address."""

    def __init__(self) -> None:
        self._hour: datetime | None = None
        self._first, self._requests, self._reported = "", 0, ""
        self._has_warned = False

    def record(self, address: str) -> None:
        """Count a request. Reports its address after MIN_REQUESTS, or SEVERAL for a second or a public address."""
        hour = current_hour()
        if hour != self._hour:
            self._hour, self._first, self._requests, self._reported = hour, address, 0, ""
        if self._reported == SEVERAL:
            return
        self._requests += 1
        if address != self._first or not is_private(address):
            self._report(SEVERAL)
        elif self._requests == MIN_REQUESTS:
            # A proxy can send any text as the address.
            name = networks_of(address)[0].name
            self._report(name)
            if not self._has_warned:
                log.warning(SOLE_ADDRESS, name)
                self._has_warned = True

    def _report(self, address: str) -> None:
        self._reported = address
        with database_errors_ignored():
            AccessHour.report_address(address)


def warn_at_start() -> None:
    """Log a warning if all requests before a restart came from one private address."""
    # The database may not exist yet.
    with suppress(peewee.PeeweeException), db.connection_context():
        if address := AccessHour.sole_private_address():
            log.warning(SOLE_ADDRESS, address)


@contextmanager
def database_errors_ignored() -> Iterator[None]:
    """Let the request succeed even if the database is unavailable, full or read-only."""
    try:
        with db.atomic():
            yield
    except (peewee.PeeweeException, MaxConnectionsExceeded) as error:
        if error_for(error) is None:
            raise
