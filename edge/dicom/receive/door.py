"""The rules for who comes in: networks and numbers at the connection, AE titles at the request."""

import ipaddress
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from edge.config.dicom import Dicom
from edge.config.listen import Address
from edge.contract.receiver import TurnedAway
from edge.dicom.receive.journal import Journal, quoted

MINUTE_S: Final = 60.0
SUBNET: Final = 64
"""Bits of the IPv6 network of one machine, or of a LAN: whoever is in it has all its addresses."""
Place: TypeAlias = Address | ipaddress.IPv6Network
MOST_REMEMBERED: Final = 4096
"""Places whose connections are counted; the longest silent one is forgotten first."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer to an association request: result, source and diagnostic (PS3.8, table 9-21)."""

    code: tuple[int, int, int]
    cause: TurnedAway
    why: str


CALLING: Final = Refusal(
    (1, 1, 3), TurnedAway.CALLING_TITLE, "this AE title may not send from there"
)
CALLED: Final = Refusal((1, 1, 7), TurnedAway.CALLED_TITLE, "it calls another AE title")
WHY: Final[Mapping[TurnedAway, str]] = {
    TurnedAway.NO_CALLERS: "[dicom] callers names nobody",
    TurnedAway.UNKNOWN_ADDRESS: "no caller's network has this address",
    TurnedAway.TOO_OFTEN: "more connections in a minute than [dicom] connections_per_minute",
    TurnedAway.TOO_MANY: "as many connections are open as [dicom] associations allows",
}
"""Words for the journal about connections that are kept out."""


class Door:
    """
    Counts connections and knows the callers.

    Args:
        settings: of the receiver.
        journal: is told of those who are turned away.
    """

    def __init__(self, settings: Dicom, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._callers = settings.allowed
        self._lock = threading.Lock()
        self._open: Counter[Place] = Counter()
        self._came: dict[Place, deque[float]] = {}

    @property
    def open(self) -> int:
        """Number of open connections."""
        with self._lock:
            return self._open.total()

    def enter(self, address: Address) -> bool:
        """Let a connection in, which must `leave`, or tell why not."""
        with self._lock:
            cause = self._keeps_out(address, time.monotonic())
            if cause is None:
                self._open[counted_as(address)] += 1
        if cause is not None:
            self._journal.tell("connection_refused", cause, str(address), WHY[cause])
        return cause is None

    def leave(self, address: Address) -> None:
        """Forget a connection that is closed."""
        with self._lock:
            place = counted_as(address)
            self._open[place] -= 1
            if not self._open[place]:
                del self._open[place]

    def refusal(self, address: Address, calling: str, called: str) -> Refusal | None:
        """
        Say why an association is refused; None if it may be.

        Args:
            address: the peer's.
            calling: the AE title that the peer gives itself.
            called: the AE title that it wants.
        """
        if called != self._settings.aet:
            found = CALLED
        elif any(one.aet == calling and one.includes(address) for one in self._callers):
            return None
        else:
            found = CALLING
        titles = {"calling": quoted(calling), "called": quoted(called)}
        self._journal.tell("association_refused", found.cause, str(address), found.why, **titles)
        return found

    def _keeps_out(self, address: Address, now: float) -> TurnedAway | None:
        if not self._callers:
            return TurnedAway.NO_CALLERS
        if not any(caller.includes(address) for caller in self._callers):
            return TurnedAway.UNKNOWN_ADDRESS
        place = counted_as(address)
        if not self._in_time(place, now):
            return TurnedAway.TOO_OFTEN
        most = self._settings.associations
        if self._open[place] >= max(1, most // 2) or self._open.total() >= most:
            return TurnedAway.TOO_MANY
        return None

    def _in_time(self, place: Place, now: float) -> bool:
        came = self._came.pop(place, None) or deque()
        while came and now - came[0] > MINUTE_S:
            came.popleft()
        self._came[place] = came
        if len(self._came) > MOST_REMEMBERED:
            del self._came[next(iter(self._came))]
        if len(came) >= self._settings.connections_per_minute:
            return False
        came.append(now)
        return True


def counted_as(address: Address) -> Place:
    """
    Return what counts as one sender: an address, or the network of 64 bits of an IPv6 one.

    Link-local addresses are all of one network and count each by itself.
    """
    if isinstance(address, ipaddress.IPv6Address) and not address.is_link_local:
        return ipaddress.IPv6Network((address, SUBNET), strict=False)
    return address


def address_of(peer: str) -> Address:
    """Read a peer's address; an IPv4 address within an IPv6 one is an IPv4 address."""
    address = ipaddress.ip_address(peer.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
