"""
The daemon's process: waits for what is not there yet, serves, and ends when it is told to.

SIGTERM ends a wait or a start at once. SIGHUP reloads the configuration, and does nothing before.
"""

import faulthandler
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Final, NoReturn, Protocol, TypeAlias

from edge.config.credentials import read_secret
from edge.config.load import is_ours
from edge.daemon.configuration import Configuration
from edge.daemon.starts import SETTLED_S, Starts
from edge.errors import StartupError, Unavailable
from edge.system import logs
from edge.system.systemd import Systemd

log = logging.getLogger(__name__)

PUT_OFF_S: Final = 5.0
"""Seconds until the next try to start, if something is not available."""
START_USEC: Final = 120_000_000
"""Time that systemd is asked to wait for the next try, in microseconds."""
TOLD_S: Final = 10.0
"""Seconds after which systemd is told again that a start waits."""


class Serves(Protocol):
    """A daemon that is open."""

    def serve(self) -> None:
        """Work until a signal."""
        ...


Make: TypeAlias = Callable[[Configuration, Systemd, str | None, ExitStack], Serves]
"""A function that opens a daemon, with its broker's password."""


class _ToldToEndError(BaseException):
    """SIGTERM or SIGINT came before the daemon served."""


def run(configuration: Configuration, make: Make) -> None:
    """
    Be the daemon until SIGTERM or SIGINT.

    Args:
        configuration: of this start.
        make: opens everything; what the stack is given is closed at the end.

    Raises:
        StartupError: something a person must change.
    """
    settings = configuration.settings
    os.umask(0o027)
    logs.start(settings.log.level)
    faulthandler.enable()  # the watchdog's SIGABRT then shows where each thread was
    systemd = Systemd()
    starts = Starts(settings.state.path, configuration.file)
    _heed_signals()
    try:
        if systemd.present:  # nobody else starts it again by itself
            _wait(starts.begin(), systemd)
        password = read_secret(settings.broker)
        _clean_environment()  # before any worker is born
        while not _served(configuration, systemd, password, starts, make):
            time.sleep(PUT_OFF_S)
    except _ToldToEndError:
        log.info("event=told_to_end_before_it_served")
    except StartupError:
        starts.end()  # systemd does not start it again, and a person need not wait
        raise
    starts.end()
    log.info("event=stopped")


def _heed_signals() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _ToldToEndError


def _wait(seconds: float, systemd: Systemd) -> None:
    """Wait before a start that follows one that ended badly."""
    if seconds:
        log.warning("event=start_waits seconds=%.0f", seconds)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        _tell_waiting(systemd, f"the last starts ended badly, next try in {left:.0f} s")
        time.sleep(min(left, TOLD_S))


def _tell_waiting(systemd: Systemd, why: str) -> None:
    systemd.notify(f"STATUS=waiting: {why}", f"EXTEND_TIMEOUT_USEC={START_USEC}")


def _served(
    configuration: Configuration,
    systemd: Systemd,
    password: str | None,
    starts: Starts,
    make: Make,
) -> bool:
    """Start and serve until a signal; False if the start has to wait, for a full disk, say."""
    with ExitStack() as stack:
        try:
            daemon = make(configuration, systemd, password, stack)
        except Unavailable as error:  # systemd would wait too, but only so often
            log.warning('event=start_put_off why="%s"', error)
            _tell_waiting(systemd, str(error))
            return False
        with _settling(starts.settle):
            daemon.serve()
    return True


def _settling(settle: Callable[[], None]) -> ExitStack:
    """Call `settle` if the block lasts for SETTLED_S."""
    timer = threading.Timer(SETTLED_S, settle)
    timer.daemon = True
    timer.start()
    stack = ExitStack()
    stack.callback(timer.cancel)
    return stack


def _clean_environment() -> None:
    """Remove our variables, which may hold secrets: workers inherit the environment."""
    for name in list(os.environ):
        if is_ours(name) or name == "CREDENTIALS_DIRECTORY":
            del os.environ[name]
