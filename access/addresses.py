"""Client networks, and a warning if all requests come from one private address."""

import ipaddress
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import peewee
from playhouse.pool import MaxConnectionsExceeded

from database_errors import error_for
from models import AccessHour, db
from models.access_hours import SEVERAL, current_hour

log = logging.getLogger("proofstone.rate_limits")

MAX_CACHED = 10_000
MIN_REQUESTS = 100
UNKNOWN = "unknown"
# An IPv6 subscriber has at least a /64, and often a /56 or /48. A wider network can belong to many subscribers, so
# its allowance is larger.
IPV6_PREFIXES = ((64, 1), (56, 4), (48, 16))
SOLE_ADDRESS = (
    "All requests come from the private address %s. If it belongs to a proxy, set TRUSTED_PROXIES. "
    "Otherwise all clients share one limit for invalid credentials."
)


class Network(NamedTuple):
    """A client's network. Its limit for invalid credentials is multiplied by `allowance`."""

    name: str
    allowance: int


@lru_cache(MAX_CACHED)
def get_networks(address: str) -> tuple[Network, ...]:
    """Return the networks that contain an address, narrowest first. An IPv4 address is a network of one."""
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
    """Return whether the address is not public. A Unix socket has no address and counts as private."""
    ip = _parse(address)
    return ip is None or not ip.is_global


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


class AddressMonitor:
    """Detects that all of this process's requests come from one private address. Reports it hourly and logs it once."""

    def __init__(self) -> None:
        self._hour: datetime | None = None
        self._first, self._requests, self._reported = "", 0, ""
        self._has_warned = False

    def record(self, address: str) -> None:
        """Count a request. Report the address after MIN_REQUESTS, or SEVERAL if it is public or not the only one."""
        hour = current_hour()
        if hour != self._hour:
            self._hour, self._first, self._requests, self._reported = hour, address, 0, ""
        if self._reported == SEVERAL:
            return
        self._requests += 1
        if address != self._first or not is_private(address):
            self._report(SEVERAL)
        elif self._requests == MIN_REQUESTS:
            # A proxy can send an arbitrary string as the address.
            name = get_networks(address)[0].name
            self._report(name)
            if not self._has_warned:
                log.warning(SOLE_ADDRESS, name)
                self._has_warned = True

    def _report(self, address: str) -> None:
        self._reported = address
        with ignore_database_errors(), db.atomic():
            AccessHour.report_address(address)


def warn_at_start() -> None:
    """Log a warning if all requests before a restart came from one private address."""
    # The database might not exist yet.
    with suppress(peewee.PeeweeException), db.connection_context():
        if address := AccessHour.sole_private_address():
            log.warning(SOLE_ADDRESS, address)


@contextmanager
def ignore_database_errors() -> Iterator[None]:
    """Let the request succeed even if the database is unavailable, full or read-only.

    Enter it before the block's transaction, which fails to start during an outage.
    """
    try:
        yield
    except (peewee.PeeweeException, MaxConnectionsExceeded) as error:
        if error_for(error) is None:
            raise
