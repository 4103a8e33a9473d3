"""Browsers that have come in, and those that try: sessions end by themselves, tries are few."""

import hashlib
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final

SESSION_S: Final = 12 * 3600.0
"""A working day; after it a browser comes in anew."""
MOST_SESSIONS: Final = 256
TRIES: Final = 5
"""Wrong tries of one address in a window."""
TRIES_OF_ALL: Final = 50
"""Wrong tries of all addresses in a window."""
WINDOW_S: Final = 300.0
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
    """Wrong tries of the last minutes, by address. Any thread may call any method."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, deque[float]] = defaultdict(deque)

    def wait_s(self, address: str) -> float:
        """Return the seconds until an address may try; 0 for at once."""
        with self._lock:
            self._forget_old()
            own = list(self._wrong.get(address, ()))
            everyone = sorted(at for times in self._wrong.values() for at in times)
            for times, most in ((own, TRIES), (everyone, TRIES_OF_ALL)):
                if len(times) >= most:
                    return times[0] + WINDOW_S - self._clock()
            return 0.0

    def note(self, address: str) -> None:
        """Count a try as wrong, until it is forgiven."""
        with self._lock:
            self._wrong[address].append(self._clock())

    def forgive(self, address: str) -> None:
        """Forget the last try of an address: it was right."""
        with self._lock:
            if times := self._wrong.get(address):
                times.pop()

    def _forget_old(self) -> None:
        for address, times in list(self._wrong.items()):
            while times and times[0] <= self._clock() - WINDOW_S:
                times.popleft()
            if not times:
                del self._wrong[address]


def _key(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()
