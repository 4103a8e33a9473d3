"""
The receiver's process: listens until SIGTERM.

A sender that is cut off at the end, or by a kill, was told nothing and sends again.
"""

import contextlib
import logging
import os
import signal
import threading
import time
import traceback
import warnings
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from edge.config.listen import error_class
from edge.config.settings import Settings
from edge.contract.receiver import Aborted
from edge.dicom.receive.door import Door
from edge.dicom.receive.inbox import Inbox
from edge.dicom.receive.journal import Journal
from edge.dicom.receive.server import House, Server, make_server
from edge.dicom.receive.tally import Reporter, Tally
from edge.dicom.receive.tls import server_context
from edge.errors import ConfigError
from edge.system import logs
from edge.system.systemd import Systemd

log = logging.getLogger(__name__)

ENDS: Final = (signal.SIGTERM, signal.SIGINT)
POLL_S: Final = 0.5
ALIVE_S: Final = 10.0
"""Seconds without a turn of the accepting loop after which it counts as stuck."""
TURN_S: Final = 1.0
"""Seconds between signs of life to systemd, and between looks at what there is to report."""
FINISH_S: Final = 5.0
"""Seconds that associations have to end once the process is to."""


class _ToldToEndError(BaseException):
    """SIGTERM or SIGINT came."""


def run(settings: Settings) -> NoReturn:
    """
    Be the receiver; the process ends with status 0.

    Raises:
        ConfigError: something a person must change.
        Unavailable: the inbox is away for now, or the address to listen on.
    """
    os.umask(0o027)
    logs.start(settings.log.level)
    systemd, tally = Systemd(), Tally(settings.dicom)
    journal, reporter = Journal(tally), Reporter(settings.dicom, tally)
    _keep_identities_out_of_the_log(journal)
    server = open_server(settings, journal)
    try:
        listening = _begin(server)
        _tell(settings, server)
        _serve(server, listening, systemd, reporter)
    except _ToldToEndError:
        _finish(server, reporter)
    logging.shutdown()
    os._exit(0)  # a thread of pynetdicom's would keep the process for as long as its peer likes


def open_server(settings: Settings, journal: Journal) -> Server:
    """
    Open inbox and port.

    Raises:
        ConfigError: something a person must change.
        Unavailable: the inbox is away for now, or the address to listen on.
    """
    if not settings.intake.folder:
        msg = "intake.folder is false: nobody would take what is received"
        raise ConfigError(msg)
    door = Door(settings.dicom, journal)
    context = server_context(settings.dicom)
    house = House(settings.dicom, Inbox(settings), door, journal, context)
    try:
        server = make_server(house)
    except OSError as error:
        msg = f"dicom.listen: {settings.dicom.listen}: {error.strerror}"
        raise error_class(error)(msg) from None
    return server


def _begin(server: Server) -> threading.Thread:
    """Heed signals from here on, and accept in a thread of its own."""
    listening = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    for number in ENDS:
        signal.signal(number, _end)
    listening.start()
    return listening


def _tell(settings: Settings, server: Server) -> None:
    host, port = server.server_address[:2]
    log.info("event=listening address=%s port=%d tls=%s", host, port, settings.dicom.tls)
    if not settings.dicom.callers:
        log.warning('event=no_callers why="every association is refused: [dicom] callers"')


def _keep_identities_out_of_the_log(journal: Journal) -> None:
    """Silence pynetdicom and pydicom, whose messages quote what a peer sent, and tracebacks."""
    warnings.simplefilter("ignore")
    for name in ("pynetdicom", "pydicom"):
        logging.getLogger(name).disabled = True
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        logging.getLogger(name).propagate = False
    threading.excepthook = partial(_failed, journal)


def _failed(journal: Journal, failure: threading.ExceptHookArgs) -> None:
    """Tell that a thread failed, most likely at nonsense that a peer sent."""
    trace = traceback.extract_tb(failure.exc_traceback)
    where = f"{Path(trace[-1].filename).name}:{trace[-1].lineno}" if trace else ""
    name = failure.exc_type.__name__
    journal.tell("association_failed", Aborted.FAILED, "unknown", name, at=where)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _ToldToEndError


def _serve(
    server: Server, listening: threading.Thread, systemd: Systemd, reporter: Reporter
) -> None:
    """Watch over the accepting thread, which is stamped; ends at a signal, or with that thread."""
    systemd.notify("READY=1")
    while listening.is_alive():
        if time.monotonic() - server.turned < ALIVE_S:
            systemd.notify("WATCHDOG=1")
            reporter.turn()
        listening.join(TURN_S)
    msg = "the loop that accepts connections has ended"
    raise RuntimeError(msg)


def _finish(server: Server, reporter: Reporter) -> None:
    """Accept no more, and let associations end for a while."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)
    server.shutdown()
    until = time.monotonic() + FINISH_S
    while server.house.door.open and time.monotonic() < until:
        time.sleep(POLL_S / 10)
    with contextlib.suppress(OSError):  # the next start tries again
        server.house.inbox.empty()
    reporter.remove()
    log.info("event=stopped open=%d", server.house.door.open)
