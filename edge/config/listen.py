"""Addresses to listen on, and what is said if one cannot be had."""

import ipaddress
from errno import EADDRINUSE, EADDRNOTAVAIL
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator

from edge.errors import ConfigError, Unavailable

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
MOST_PORT: Final = 65535


def read_listen(text: str) -> tuple[str, int]:
    """
    Read `ADDRESS:PORT`; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is something else.
    """
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address(bare)
        whole = f"[{bare}]" if isinstance(address, ipaddress.IPv6Address) else bare
        if host == whole and port.isascii() and int(port) in range(MOST_PORT + 1):
            return str(address), int(port)
    except ValueError:
        pass  # as below
    msg = f"found {text!r}, expected ADDRESS:PORT, such as 0.0.0.0:11112 or [::]:11112"
    raise ValueError(msg)


def _checked(text: str) -> str:
    read_listen(text)
    return text


Listen: TypeAlias = Annotated[str, AfterValidator(_checked)]
"""`ADDRESS:PORT`, as `read_listen` reads it."""


def error_class(error: OSError) -> type[ConfigError | Unavailable]:
    """
    Return the kind of error of an address that cannot be listened on.

    An address that is taken, or not there yet at boot, may be had later; anything else is for a
    person to change.
    """
    return Unavailable if error.errno in (EADDRINUSE, EADDRNOTAVAIL) else ConfigError
