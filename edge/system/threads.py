"""Threads that are begun, and that end when they are told to."""

import logging
import socketserver
import threading
import traceback
from collections.abc import Callable
from typing import Final

from edge.errors import StateDamagedError
from edge.health import Cause, Health

log = logging.getLogger(__name__)

STOP_S: Final = 2.0
"""Seconds that `stop` waits for a loop unless told otherwise."""
AFTER_FAILURE_S: Final = 1.0
"""Seconds of rest after a turn that failed as nobody foresaw."""
_telling: Final = threading.Lock()


class Loop:
    """
    A thread that does one turn after the other, each stamped, so that one that hangs is noticed.

    A subclass says what a turn is. A turn that waits for something must also look up when `wake` is
    called, and at least every second. A turn that raises what nobody foresaw is told and does not
    end the loop, since without it the daemon would do worse; only a damaged ledger ends it.

    Args:
        name: of the thread and its stamps.
        health: for the stamps.
    """

    def __init__(self, name: str, health: Health) -> None:
        self._health = health
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(name,), name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """
        Begin no further turn, and wait for the one that runs; also before `start`.

        Args:
            timeout_s: seconds to wait; the thread goes on after that, and ends with the process.
        """
        self._stop.set()
        try:
            self.wake()
        except Exception as error:  # noqa: BLE001 - those that are stopped after it are to end, too
            note_failure("loop_not_woken", error)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """End the wait of a turn; from any thread."""

    def turn(self) -> None:
        """
        Do one turn.

        Raises:
            StateDamagedError: the ledger must be opened anew.
        """
        raise NotImplementedError

    def last_turn(self) -> None:
        """Clear up after the last turn; in the loop's thread."""

    def _rest_s(self) -> float:
        """Say how long to rest before the next turn, in seconds."""
        return 0.0

    def _run(self, name: str) -> None:
        while not self._stop.wait(self._rest_s()):
            self._health.stamp(name)
            if not self._turned(name, self.turn):
                self._stop.wait(AFTER_FAILURE_S)
        try:
            self._turned(name, self.last_turn)
        finally:
            self._health.retire(name)

    def _turned(self, name: str, turn: Callable[[], None]) -> bool:
        """Do one turn; False if it failed as nobody foresaw."""
        try:
            turn()
        except StateDamagedError:
            raise
        except Exception as error:  # noqa: BLE001 - one item must not take the others with it
            note_failed_turn(self._health, name, error)
            return False
        note_good_turn(self._health, name)
        return True


def note_failed_turn(health: Health, loop: str, error: Exception) -> None:
    """Log, count and report a turn that failed as nobody foresaw."""
    health.count("loop_failures")
    note_failing(health, loop, note_failure("loop_failed", error))


def note_failing(health: Health, part: str, why: str) -> None:
    """Report a part of the daemon that fails, and goes on."""
    health.failing[part] = why
    tell_failing(health)


def note_good_turn(health: Health, part: str) -> None:
    """Take back the report of a part that failed, if there is one."""
    if health.failing.pop(part, None):
        tell_failing(health)


def tell_failing(health: Health) -> None:
    """Report the loops that fail, or that none does."""
    with _telling:  # else one that has found none could take back what another has just told
        told = ", ".join(f"{loop} by {error}" for loop, error in sorted(health.failing.items()))
        if told:
            health.degrade(Cause.LOOP_FAILED, f"a part of the daemon fails and goes on: {told}")
        else:
            health.recover(Cause.LOOP_FAILED)


def note_failure(event: str, error: BaseException | None) -> str:
    """
    Log an error that nobody foresaw, without its message, which may name a file.

    Returns:
        The name of the error's class.
    """
    trace = traceback.extract_tb(error.__traceback__ if error else None)
    where = f"{trace[-1].filename}:{trace[-1].lineno}" if trace else ""
    name = type(error).__name__
    log.error("event=%s type=%s at=%s", event, name, where)
    return name


class Listener:
    """
    A server that answers in a thread of its own, which is stamped as a loop is.

    It begins a thread for each client, and the beginning of a thread may hang when memory ends.

    Args:
        name: of the thread and its stamps.
        server: listens already.
        poll_s: seconds after which it notices that it is to end.
        health: for the stamps.
    """

    def __init__(
        self, name: str, server: socketserver.BaseServer, poll_s: float, health: Health
    ) -> None:
        self._server = server
        self._health, self._name = health, name
        server.service_actions = lambda: health.stamp(name)  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._serve, args=(poll_s,), name=name, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def _serve(self, poll_s: float) -> None:
        self._health.stamp(self._name)  # the first client may come before the first turn ends
        self._server.serve_forever(poll_s)

    def close(self) -> None:
        """Stop answering; also before `start`."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
        self._health.retire(self._name)
