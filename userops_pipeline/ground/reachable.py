"""Reachable: which network addresses the engine may speak to when somebody's setting names a host.

Here lives the one judgement on addresses that everything which sends asks; add here when a new way of writing an address is met.
Must not open a connection, nor know what is sent.
"""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Networks whose addresses carry an IPv4 address in them, and how many bits stand behind it: who is meant is the one inside.
_CARRIERS = (
    (ipaddress.IPv6Network("::/96"), 0),  # IPv4-compatible; :: and ::1 are told apart before
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4
)
# Networks that lead into others by rules of their own: local NAT64, Teredo, ISATAP and documentation hide whom they reach.
_OPAQUE = (
    ipaddress.IPv6Network("64:ff9b:1::/48"),
    ipaddress.IPv6Network("2001::/32"),
    ipaddress.IPv6Network("100::/64"),
    ipaddress.IPv6Network("3fff::/20"),
    ipaddress.IPv6Network("5f00::/16"),
    ipaddress.IPv6Network("fec0::/10"),
)


class NotReachable(Exception):
    """Why nothing may be sent there: a word for a log."""


def addresses_of(host: str, port: int | str) -> list[Address]:
    """Every address a host name means just now.

    Raises:
        OSError, UnicodeError: it means none.
    """
    found = socket.getaddrinfo(host.rstrip(".") or host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found))


def meant(address: Address) -> Address:
    """The address that is reached: the IPv4 one where an IPv6 one only carries it."""
    if isinstance(address, ipaddress.IPv6Address) and int(address) > 1:
        for network, behind in _CARRIERS:
            if address in network:
                return ipaddress.IPv4Address(int(address) >> behind & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, whichever way it is written."""
    reached = meant(address)
    if isinstance(reached, ipaddress.IPv6Address) and (reached.is_site_local or any(reached in network for network in _OPAQUE)):
        return False
    return reached.is_global and not (reached.is_multicast or reached.is_reserved or reached.is_unspecified)


def permitted(host: str, port: int | str, *, scheme: str, allow_loopback: bool) -> str:
    """The address to connect to: the very one that was examined, so that a name cannot mean another a moment later.

    Raises:
        NotReachable: https_required, or address_not_public.
        OSError, UnicodeError: the name means no address.
    """
    addresses = addresses_of(host, port)
    if allow_loopback and addresses and all(meant(address).is_loopback for address in addresses):
        return str(addresses[0])
    if scheme != "https":
        raise NotReachable("https_required")
    if not addresses or not all(is_public(address) for address in addresses):
        raise NotReachable("address_not_public")
    return str(addresses[0])
