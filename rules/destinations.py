"""Where a webhook may go: to addresses of the public internet, and to networks that a setting opens.

Everything else may be a door to the inside: private networks, this machine, link-local addresses with the metadata
of clouds, multicast, and every form in which IPv6 wraps an IPv4 address.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# All unicast addresses of the public internet; what lies outside is reserved or local.
_PUBLIC_IPV6 = IPv6Network("2000::/3")
# Public by their number, and not to be reached all the same.
_NEVER = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # a cloud's metadata
            "192.88.99.0/24",  # relays into 6to4
            "192.0.0.0/24",
            "2001::/23",  # Teredo and other tunnels
            "3fff::/20",  # documentation
        ),
    )
)
# IPv4 in the last four bytes: compatible, mapped, translated (SIIT) and NAT64.
_IPV4_AT_THE_END = tuple(map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
_SIX_TO_FOUR = IPv6Network("2002::/16")


def networks(text: str) -> tuple[Network, ...]:
    """The networks in a list such as `10.0.0.0/8, fd00::/8`; ValueError where one is none."""
    return tuple(ip_network(part.strip()) for part in text.split(","))


def is_allowed(address: str, opened: Iterable[Network] = ()) -> bool:
    """Whether a connection may be made to a resolved address."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return is_opened(address, opened) or _is_public(_inner(found))


def is_opened(address: str, opened: Iterable[Network]) -> bool:
    """Whether the address lies in one of the opened networks."""
    found = ip_address(address)
    return any(found in network or _inner(found) in network for network in opened)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if address.version == 6 and address not in _PUBLIC_IPV6:
        return False
    is_special = address.is_multicast or any(address in network for network in _NEVER)
    return address.is_global and not is_special


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address wraps, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _IPV4_AT_THE_END):
        return IPv4Address(address.packed[12:])
    if address in _SIX_TO_FOUR:
        return IPv4Address(address.packed[2:6])
    return address
