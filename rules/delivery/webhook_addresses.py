"""Allowed webhook destinations: public IP addresses, and networks from a setting.

Other addresses can be internal, such as private networks, localhost, link-local cloud metadata and multicast.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# Contains all public unicast addresses.
_PUBLIC_IPV6 = IPv6Network("2000::/3")
# Non-public networks within the public ranges.
_BLOCKED = (
    ip_network("168.63.129.16/32"),  # Azure's metadata
    ip_network("192.88.99.0/24"),  # 6to4 relays
    ip_network("192.0.0.0/24"),  # IETF protocol assignments
    ip_network("2001::/23"),  # Teredo and other tunnels
    ip_network("3fff::/20"),  # documentation
)
# IPv6 networks with an IPv4 address in the last four bytes: compatible, mapped, translated (SIIT) and NAT64.
_IPV4_EMBEDDING_NETWORKS = tuple(
    map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
_SIX_TO_FOUR = IPv6Network("2002::/16")


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse a list such as `10.0.0.0/8, fd00::/8`. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(","))


def is_allowed(address: str, allowed: Iterable[Network] = ()) -> bool:
    """Return whether webhooks can connect to a resolved address."""
    try:
        return is_in_networks(address, allowed) or _is_public(_embedded_ipv4(ip_address(address)))
    except ValueError:
        return False


def is_in_networks(address: str, networks: Iterable[Network]) -> bool:
    """Return whether the address, or its embedded IPv4 address, is in a network."""
    ip = ip_address(address)
    return any(ip in network or _embedded_ipv4(ip) in network for network in networks)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if address.version == 6 and address not in _PUBLIC_IPV6:
        return False
    is_blocked = address.is_multicast or any(address in network for network in _BLOCKED)
    return address.is_global and not is_blocked


def _embedded_ipv4(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address embedded in an IPv6 address, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _IPV4_EMBEDDING_NETWORKS):
        return IPv4Address(address.packed[12:])
    if address in _SIX_TO_FOUR:
        return IPv4Address(address.packed[2:6])
    return address
