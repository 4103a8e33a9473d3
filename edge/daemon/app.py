"""
The daemon: opens everything in order, works until a signal, drains, and closes in reverse order.

It starts what listens last and stops it first, so that nothing comes in that cannot be recorded,
and lets results out as long as there is time.
"""

import faulthandler
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

from edge import __version__
from edge.config.credentials import read_secret
from edge.config.load import is_ours
from edge.config.settings import Settings
from edge.contract import messages
from edge.daemon.control.handlers import Commands
from edge.daemon.control.unix_socket import ControlServer
from edge.daemon.intake.folder import FolderIntake, look_again_s
from edge.daemon.intake.suspects import Suspects
from edge.daemon.pipeline.admission import Admission
from edge.daemon.pipeline.current_model import CurrentModel
from edge.daemon.pipeline.dispatcher import Dispatcher
from edge.daemon.pipeline.examination import Hooks, Parts
from edge.daemon.pipeline.head_start import HeadStart
from edge.daemon.pipeline.reception import Reception
from edge.daemon.pipeline.recorder import Recorder
from edge.daemon.pipeline.recovery import Recovery
from edge.daemon.pipeline.tasks import Tasks
from edge.daemon.rollout.accelerator import Accelerator
from edge.daemon.rollout.activation import Activation
from edge.daemon.telemetry.drift import WINDOW, Drift
from edge.daemon.telemetry.http_server import MetricsServer
from edge.daemon.telemetry.metrics import HealthMetrics
from edge.daemon.telemetry.status import Announcer
from edge.daemon.wiring import broker
from edge.daemon.wiring.delivery import Delivery
from edge.daemon.wiring.handlers import Reload, handlers
from edge.daemon.wiring.opener import Opener
from edge.daemon.wiring.report import Report, Sources
from edge.daemon.wiring.shadow import open_shadow
from edge.daemon.wiring.state import open_state, sender_of
from edge.errors import MammoEdgeError, Unavailable
from edge.health import Health, Phase
from edge.models.transfer.installer import Installer
from edge.storage.retention import Retention
from edge.system import logs
from edge.system.systemd import Systemd
from edge.system.threads import Loop, note_failure

log = logging.getLogger(__name__)

DRAIN_S: Final = 10.0
"""
Seconds for images in work at the end.

With what the threads are given to end, all of a drain stays below 20 seconds.
"""
WATCHING_S: Final = 10.0
"""Seconds that a start waits for the inbox to be watched."""
PUT_OFF_S: Final = 5.0
"""Seconds until the next try to start, if something is not available."""
START_USEC: Final = 120_000_000
"""Time that systemd is asked to wait for the next try, in microseconds."""


def run(settings: Settings, load_settings: Callable[[], Settings]) -> None:
    """
    Be the daemon until SIGTERM or SIGINT.

    Args:
        settings: what was configured.
        load_settings: reads the configuration again, for `reload`.

    Raises:
        StartupError: something a person must change.
    """
    os.umask(0o027)
    logs.start(settings.log.level)
    faulthandler.enable()  # the watchdog's SIGABRT then shows where each thread was
    systemd, password = Systemd(), read_secret(settings.broker)
    _clean_environment()  # before any worker is born
    while not _served(settings, load_settings, systemd, password):
        time.sleep(PUT_OFF_S)
    log.info("event=stopped")


def _served(
    settings: Settings,
    load_settings: Callable[[], Settings],
    systemd: Systemd,
    password: str | None,
) -> bool:
    """Start and serve until a signal; False if the start has to wait, for a full disk, say."""
    with ExitStack() as stack:
        try:
            daemon = Daemon(settings, load_settings, systemd, password, stack)
        except Unavailable as error:  # systemd would wait too, but only so often
            log.warning('event=start_put_off why="%s"', error)
            systemd.notify(f"STATUS=waiting: {error}", f"EXTEND_TIMEOUT_USEC={START_USEC}")
            return False
        daemon.serve()
    return True


class Daemon:
    """Everything that runs, wired together; `stack` closes what it opened."""

    def __init__(
        self,
        settings: Settings,
        load_settings: Callable[[], Settings],
        systemd: Systemd,
        password: str | None,
        stack: ExitStack,
    ) -> None:
        self._settings = settings
        self._systemd = systemd
        self._stack = stack
        self._broken: MammoEdgeError | None = None
        self._health = Health()
        self._parts = self._open_parts()
        self._client = broker.connect(settings, password, self._health)
        self._suspects = Suspects(settings.state.path)
        self._delivery = Delivery(settings, self._parts.ledger.outbox, self._health, self._client)
        self._recorder = Recorder(self._parts, self._delivery.wake)
        self._activation = self._make_activation()
        self._head_start = HeadStart(self._parts.tasks.wake)
        self._admission = Admission(self._parts)
        self._recovery = Recovery(self._parts, self._admission)
        self._folder, self._requests = self._open_intakes()
        self._drift = Drift()
        self._report = self._make_report()
        self._numbers = HealthMetrics(lambda: messages.fields(self._report()))
        opener = self._opener
        self._shadow = open_shadow(settings, self._parts, opener.store, opener.second, self._client)
        if self._shadow:
            stack.callback(self._shadow.stop)
        self._dispatcher = self._make_dispatcher()
        obeyed = self._make_handlers(load_settings)
        self._control = ControlServer(settings.control.socket, obeyed)
        stack.callback(self._control.close)
        suspects = self._suspects
        self._commands = broker.commands(settings, self._client, self._health, obeyed, suspects)
        self._announcer = Announcer(self._health, systemd, self._parts.model.overdue)
        broker.announce(self._announcer, settings, self._client, self._health, self._report)
        self._retention = Retention(settings, self._parts.ledger, self._health)
        self._accelerator = Accelerator(self._parts, opener.access, opener.begin, opener.retry_s)
        self._metrics = self._open_metrics()

    def serve(self) -> None:
        """
        Start, be ready, work, drain.

        Raises:
            MammoEdgeError: a thread died.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._dispatcher.stop())
        threading.excepthook = self._stop_broken
        self._start()
        self._health.enter(Phase.READY)
        self._systemd.notify("READY=1")
        backend = self._parts.model.serving.workers.runtime.backend
        log.info("event=ready version=%s backend=%s", __version__, backend)
        self._dispatcher.run(DRAIN_S, self._begin_drain)
        self._finish()
        if self._broken:
            raise self._broken

    def _open_parts(self) -> Parts:
        """Open what the others share: first the ledger, last the model in its workers."""
        settings, health = self._settings, self._health
        sender = sender_of(settings)
        ledger, spool = open_state(settings, health, self._stack)
        self._opener = Opener(settings, self._stack)
        model = CurrentModel(self._opener.first(health))
        self._stack.callback(model.close)
        again_s = look_again_s(settings.inbox)
        return Parts(ledger, spool, health, sender, model, Tasks(), again_s)

    def _make_activation(self) -> Activation:
        store, reject = self._opener.store, self._recorder.reject
        images = self._settings.model.trial_images
        activation = Activation(store, self._parts, reject, self._opener.proved, images)
        activation.resume_trial()
        return activation

    def _open_intakes(self) -> tuple[FolderIntake | None, broker.Requests]:
        settings, health = self._settings, self._health
        reception = Reception(
            self._parts,
            settings,
            admission=self._admission,
            recovery=self._recovery,
            head_start=self._head_start,
            reject=self._recorder.reject,
        )
        watched = settings.intake.folder
        folder = FolderIntake(settings.inbox, reception, health) if watched else None
        requests = broker.requests(settings, self._client, reception, health, self._suspects)
        return folder, requests

    def _make_report(self) -> Report:
        seen = self._folder.seen if self._folder else None
        held = self._requests[0].held if self._requests else None
        return Report(self._settings, self._parts, self._client, Sources(seen, held), self._drift)

    def _make_dispatcher(self) -> Dispatcher:
        results = self._parts.ledger.queries.results(limit=WINDOW)
        self._drift.resume(self._parts.model.serving, results)
        observers = [self._activation.observe, self._drift.observe, self._numbers.observe]
        if self._shadow:
            observers.append(self._shadow.observe)
        hooks = Hooks(self._recovery.run, self._admission.record_anew, tuple(observers))
        return Dispatcher(self._parts, self._recorder, self._head_start, hooks)

    def _make_handlers(self, load_settings: Callable[[], Settings]) -> broker.Handlers:
        settings, opener, activation = self._settings, self._opener, self._activation
        fetch = broker.fetcher(settings, self._client)
        installer = Installer(opener.store, settings.model, opener.try_out, fetch)
        return handlers(
            Commands(settings, self._parts, self._delivery.wake),
            self._report,
            Reload(settings, load_settings, self._parts, opener, activation),
            activation,
            installer,
        )

    def _open_metrics(self) -> MetricsServer | None:
        where, health, model = self._settings.metrics, self._health, self._parts.model
        if where.port is None:
            return None
        server = MetricsServer(
            (where.address, where.port),
            self._numbers.text,
            ready=lambda: health.phase in {Phase.READY, Phase.DEGRADED},
            alive=lambda: not health.stuck() and not model.overdue(),
        )
        self._stack.callback(server.close)
        return server

    def _start(self) -> None:
        self._announcer.start()
        self._control.start()
        if self._metrics:
            self._metrics.start()
        if self._shadow:
            self._shadow.start()
        self._delivery.start()
        if self._client:
            self._client.start()
        for loop in self._loops():
            loop.start()
        if self._folder:
            self._folder.wait_watching(WATCHING_S)

    def _loops(self) -> Iterator[Loop]:
        """Yield what is started last and stopped first, what takes images in at the head."""
        intakes = (self._folder, *(self._requests or ()), self._commands)
        for loop in (*intakes, self._retention, self._accelerator):
            if loop:
                yield loop

    def _begin_drain(self) -> None:
        self._health.enter(Phase.DRAINING)
        self._systemd.notify("STOPPING=1")
        log.info("event=draining")
        for loop in self._loops():
            loop.stop()
        if self._shadow:
            self._shadow.stop()

    def _finish(self) -> None:
        self._delivery.stop()
        self._announcer.stop()
        if self._client:
            self._client.stop()
        self._suspects.close()

    def _stop_broken(self, args: threading.ExceptHookArgs) -> None:
        """Stop, since a loop ended that never should: better to start anew than go on without."""
        self._broken = MammoEdgeError(
            f"a thread died: {note_failure('thread_died', args.exc_value)}"
        )
        self._dispatcher.stop()


def _clean_environment() -> None:
    """Remove our variables, which may hold secrets: workers inherit the environment."""
    for name in list(os.environ):
        if is_ours(name) or name == "CREDENTIALS_DIRECTORY":
            del os.environ[name]
