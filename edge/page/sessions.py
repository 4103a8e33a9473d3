"""Browsers that have come in, and those that try: sessions end by themselves, tries slow down."""

import hashlib
import ipaddress
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from edge.config.page import IPV4

SESSION_S: Final = 12 * 3600.0
"""A working day; after it a browser comes in anew."""
MOST_SESSIONS: Final = 256
TRIES: Final = 5
"""Wrong tries that an address has at once."""
PAUSE_S: Final = 60.0
"""Seconds after which an address has one try more."""
TRIES_OF_ALL: Final = 50
"""Wrong tries that all addresses have at once."""
PAUSE_OF_ALL_S: Final = 1.0
"""Seconds after which all addresses together have one try more."""
ALL: Final = "all"
HOST_BITS: Final = 64
"""Bits of an IPv6 address that a host chooses by itself."""
Clock = Callable[[], float]


class Sessions:
    """
    Sessions by the hash of their cookie; they end with the process, or with what opened them.

    Any thread may call any method.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, tuple[float, str]] = {}

    def begin(self, secret: str) -> str:
        """
        Begin a session; the oldest one ends if there are too many.

        Args:
            secret: the kept hash that was matched; the session ends once it is another.

        Returns:
            The cookie's value.
        """
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._open) >= MOST_SESSIONS:
                del self._open[next(iter(self._open))]
            self._open[_key(cookie)] = (self._clock() + SESSION_S, secret)
        return cookie

    def known(self, cookie: str, secret: str | None) -> bool:
        """Tell if a cookie belongs to a session that goes on under the present secret."""
        with self._lock:
            ends, opened_by = self._open.get(_key(cookie), (0.0, ""))
            if self._clock() < ends and opened_by == secret:
                return True
            self._open.pop(_key(cookie), None)
            return False

    def end(self, cookie: str) -> None:
        """End a session."""
        with self._lock:
            self._open.pop(_key(cookie), None)


class Tries:
    """
    Wrong tries, by address: some are free, then they are slowed down (a leaky bucket).

    Any thread may call any method.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._filled: dict[str, float] = {}

    def take(self, address: str) -> float:
        """Count a try as wrong until it is forgiven, and return 0; else the seconds to wait."""
        buckets = ((network_of(address), TRIES, PAUSE_S), (ALL, TRIES_OF_ALL, PAUSE_OF_ALL_S))
        with self._lock:
            now = self._clock()
            self._filled = {name: full for name, full in self._filled.items() if full > now}
            waits = (
                self._filled.get(name, now) - (most - 1) * pause - now
                for name, most, pause in buckets
            )
            if (wait := max(waits)) > 0:
                return wait
            for name, _, pause in buckets:
                self._filled[name] = self._filled.get(name, now) + pause
            return 0.0

    def forgive(self, address: str) -> None:
        """Forget the last try of an address: it was right."""
        with self._lock:
            for name, pause in ((network_of(address), PAUSE_S), (ALL, PAUSE_OF_ALL_S)):
                self._filled[name] = self._filled.get(name, 0.0) - pause


def network_of(address: str) -> str:
    """Return what one host may choose addresses from: a network of IPv6 (/64), all of loopback."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.is_loopback:
        return "loopback"
    if found.version == IPV4:
        return address
    return f"{int(found) >> HOST_BITS:x}"


def _key(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()
