"""
The daemon: opens everything in order, works until a signal, drains, and closes in reverse order.

It starts what listens last and stops it first, so that nothing comes in that cannot be recorded,
and lets results out as long as there is time.
"""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from edge import __version__
from edge.contract import messages
from edge.daemon.configuration import Configuration
from edge.daemon.control.audited import audited
from edge.daemon.control.feedback import Feedback
from edge.daemon.control.forgetting import Forgetting
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
from edge.daemon.publish.exam_timer import ExamTimer
from edge.daemon.rollout.accelerator import Accelerator
from edge.daemon.rollout.activation import Activation
from edge.daemon.telemetry.drift import WINDOW, Drift
from edge.daemon.telemetry.http_server import MetricsServer
from edge.daemon.telemetry.metrics import HealthMetrics
from edge.daemon.telemetry.performance import ServingPerformance
from edge.daemon.telemetry.receiver import ReceiverWatch, receiver_part
from edge.daemon.telemetry.status import Announcer
from edge.daemon.wiring import broker
from edge.daemon.wiring.delivery import Delivery
from edge.daemon.wiring.drawing import open_drawing
from edge.daemon.wiring.handlers import Reload, handlers
from edge.daemon.wiring.info import Gather
from edge.daemon.wiring.opener import Opener
from edge.daemon.wiring.report import Report, Sources
from edge.daemon.wiring.settings_noted import note_settings
from edge.daemon.wiring.shadow import open_shadow
from edge.daemon.wiring.state import exam_names, open_state, sender_of, with_ledger_key
from edge.errors import MammoEdgeError
from edge.health import Cause, Health, Phase
from edge.models.transfer.installer import Installer
from edge.storage.audit import Caller
from edge.storage.ledger.verdicts import TABLES
from edge.storage.retention import Retention
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


class Daemon:
    """Everything that runs, wired together; `stack` closes what it opened."""

    def __init__(
        self,
        configuration: Configuration,
        systemd: Systemd,
        password: str | None,
        stack: ExitStack,
    ) -> None:
        settings = self._settings = configuration.settings
        self._configuration = configuration
        self._systemd = systemd
        self._stack = stack
        self._broken: MammoEdgeError | None = None
        self._health = Health()
        if configuration.refused:
            why = f"configuration refused, the last that worked is used: {configuration.refused}"
            self._health.degrade(Cause.CONFIG_REFUSED, why)
        self._parts = self._open_parts()
        note_settings(settings, self._parts.ledger.audit)
        self._client = broker.connect(settings, password, self._health)
        self._suspects = Suspects(settings.state.path)
        self._delivery = Delivery(
            settings, self._parts.ledger, self._health, self._client, self._drawing.maps
        )
        self._recorder = Recorder(self._parts, self._delivery.wake)
        self._activation = self._make_activation()
        self._head_start = HeadStart(self._parts.tasks.wake)
        self._admission = Admission(self._parts)
        self._recovery = Recovery(self._parts, self._admission)
        self._folder, self._requests = self._open_intakes()
        self._drift = Drift()
        self._report = self._make_report()
        model, verdicts = self._parts.model, self._parts.ledger.verdicts
        serves = lambda: model.serving.bundle.bundle_id  # noqa: E731
        worth = [ServingPerformance(verdicts, serves, kind) for kind in TABLES]
        self._numbers = HealthMetrics(lambda: messages.fields(self._report()), *worth)
        opener = self._opener
        self._shadow = open_shadow(settings, self._parts, opener.store, opener.second, self._client)
        if self._shadow:
            stack.callback(self._shadow.stop)
        self._dispatcher = self._make_dispatcher()
        obeyed = self._make_handlers()
        self._reload = obeyed["reload"]
        self._control = ControlServer(settings.control.socket, obeyed, self._health)
        stack.callback(self._control.close)
        suspects = self._suspects
        self._commands = broker.commands(settings, self._client, self._health, obeyed, suspects)
        self._announcer = Announcer(self._health, systemd, self._parts.model.overdue)
        facts = Gather(settings.device, lambda: opener.settings, self._parts)
        made = broker.Messages(self._report, facts)
        broker.announce(self._announcer, settings, self._client, self._health, made)
        self._retention = Retention(settings, self._parts.ledger, self._health)
        wake = self._delivery.wake
        exams = ExamTimer(self._parts.ledger.exams, self._health, wake)
        self._exams = exams if settings.makes_exams else None
        audit = self._parts.ledger.audit
        watch = ReceiverWatch(lambda: opener.settings.dicom, self._health, audit)
        self._receiver = watch if settings.intake.folder else None
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
        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=self._reload_asked).start())
        threading.excepthook = self._stop_broken
        self._start()
        self._health.enter(Phase.READY)
        self._systemd.notify("READY=1")
        if not self._configuration.refused:
            self._configuration.keep(self._settings)
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
        sender = with_ledger_key(sender, settings.state.path)
        self._opener = Opener(settings, self._stack)
        model = CurrentModel(self._opener.first(health))
        self._stack.callback(model.close)
        again_s = look_again_s(settings.inbox)
        exams = exam_names(settings, sender)
        parts = Parts(ledger, spool, health, sender, model, Tasks(), again_s, exams)
        self._drawing = open_drawing(settings, parts, self._opener, self._stack)
        return parts

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
            refuse=self._recorder.refuse,
        )
        watched = settings.intake.folder
        folder = FolderIntake(settings.inbox, reception, health) if watched else None
        requests = broker.requests(settings, self._client, reception, health, self._suspects)
        return folder, requests

    def _make_report(self) -> Report:
        inbox = self._folder.counts if self._folder else None
        held = self._requests[0].held if self._requests else None
        sources = Sources(inbox, held, lambda: receiver_part(self._opener.settings.dicom))
        return Report(self._settings, self._parts, self._client, sources, self._drift)

    def _make_dispatcher(self) -> Dispatcher:
        results = self._parts.ledger.queries.results(limit=WINDOW)
        self._drift.resume(self._parts.model.serving, results)
        observers = [self._activation.observe, self._drift.observe, self._numbers.observe]
        if self._shadow:
            observers.append(self._shadow.observe)
        if self._drawing.drawer:
            observers.append(self._drawing.drawer.observe)
        hooks = Hooks(self._recovery.run, tuple(observers))
        return Dispatcher(self._parts, self._recorder, self._head_start, hooks)

    def _make_handlers(self) -> broker.Handlers:
        settings, opener, activation = self._settings, self._opener, self._activation
        fetch = broker.fetcher(settings, self._client)
        installer = Installer(opener.store, settings.model, opener.try_out, fetch)
        plain = handlers(
            Commands(settings, self._parts, self._delivery.wake),
            self._report,
            Reload(self._configuration, self._parts, opener, activation),
            activation,
            installer,
        )
        ledger = self._parts.ledger
        forget = Forgetting(settings, self._parts, self._delivery.end_reports)
        feedback = Feedback(ledger.verdicts, self._health)
        return audited({**plain, "feedback": feedback, "forget": forget}, ledger.audit)

    def _open_metrics(self) -> MetricsServer | None:
        where, health, model = self._settings.metrics, self._health, self._parts.model
        if where.port is None:
            return None
        server = MetricsServer(
            (where.address, where.port),
            self._numbers.text,
            ready=lambda: health.phase in {Phase.READY, Phase.DEGRADED},
            alive=lambda: not health.stuck() and not model.overdue(),
            health=health,
        )
        self._stack.callback(server.close)
        return server

    def _start(self) -> None:
        self._retention.look_at_clock()
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
        drawer = self._drawing.drawer
        others = (self._exams, self._retention, self._accelerator, self._receiver, drawer)
        for loop in (*intakes, *others):
            if loop:
                yield loop

    def _reload_asked(self) -> None:
        """Reload after SIGHUP; nobody waits for the answer but the journal."""
        try:
            self._reload({}, Caller(signal="SIGHUP"))
        except MammoEdgeError as error:
            log.warning('event=reload_refused why="%s"', error)

    def _begin_drain(self) -> None:
        self._health.enter(Phase.DRAINING)
        self._systemd.notify("STOPPING=1")
        log.info("event=draining")
        for loop in self._loops():
            loop.stop()
        if self._shadow:
            self._shadow.stop()
        self._drawing.artist.close()

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
