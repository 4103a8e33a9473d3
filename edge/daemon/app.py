"""
Composition root: opens everything, in order, and closes it in the other order. The one module that
knows all others.
"""

import faulthandler
import functools
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from edge import __version__
from edge.config.credentials import read_secret
from edge.config.load import is_ours
from edge.config.settings import Settings
from edge.contract import messages
from edge.contract.render import Sender, readdress, without_heatmap
from edge.daemon.control.handlers import Commands, changes
from edge.daemon.control.mqtt import CommandIntake
from edge.daemon.control.unix_socket import ControlServer
from edge.daemon.intake.folder import QUIET_S, SETTLED_AFTER, FolderIntake
from edge.daemon.intake.mqtt import MqttIntake
from edge.daemon.pipeline.dispatcher import Parts, Service
from edge.daemon.pipeline.reception import Reception
from edge.daemon.publish import Courier, Sink
from edge.daemon.publish.jsonl import JsonlSink
from edge.daemon.publish.mqtt import MqttSink
from edge.daemon.rollout.accelerator import Accelerator
from edge.daemon.rollout.activation import MODEL_CAUSES, Lifecycle, first_serving
from edge.daemon.rollout.shadow import NOBODY_TO_TELL, Shadow
from edge.daemon.telemetry import status
from edge.daemon.telemetry.drift import WINDOW, Drift
from edge.daemon.telemetry.homeassistant import Discovery
from edge.daemon.telemetry.homeassistant import messages as homeassistant_messages
from edge.daemon.telemetry.http_server import MetricsServer
from edge.daemon.telemetry.metrics import Numbers
from edge.daemon.telemetry.report import make_report
from edge.daemon.workers.servable import Serving, access_of, open_serving, open_store
from edge.errors import ConfigError, MammoEdgeError, StartupError, Unavailable
from edge.health import Cause, Health, Phase
from edge.models.store import ModelStore
from edge.models.transfer.installer import Installer
from edge.mqtt.client import MqttClient
from edge.mqtt.topics import Topics, shared_request_image
from edge.storage.ledger import open_ledger
from edge.storage.rebuild import demand_spool, prove, rebuild
from edge.storage.retention import Retention
from edge.storage.spool import Spool
from edge.system import logs
from edge.system.systemd import Systemd

log = logging.getLogger(__name__)

DRAIN_S: Final = 10.0
"""For images in work. With what the threads are given to end, all of a drain stays below 20 s."""
COURIER_S: Final = 2.0
WATCHING_S: Final = 10.0
PUT_OFF_S: Final = 5.0
"""How long to wait before the next try to start, where something is not available."""
START_USEC: Final = 120_000_000
"""How long systemd shall wait for the next try, in microseconds."""
KEY_BYTES: Final = 16


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
    while True:
        with ExitStack() as stack:
            try:
                daemon = Daemon(settings, load_settings, systemd, password, stack)
            except (
                Unavailable
            ) as error:  # a full disk, say: wait for it, as systemd would, but without its limit
                log.warning('event=start_put_off why="%s"', error)
                systemd.notify(f"STATUS=waiting: {error}", f"EXTEND_TIMEOUT_USEC={START_USEC}")
            else:
                daemon.serve()
                break
        time.sleep(PUT_OFF_S)
    log.info("event=stopped")


class Daemon:
    """Everything that runs, wired together."""

    def __init__(
        self,
        settings: Settings,
        load_settings: Callable[[], Settings],
        systemd: Systemd,
        password: str | None,
        stack: ExitStack,
    ) -> None:
        self._settings = self._serving_settings = settings
        self._topics = Topics.of(settings.device)
        self._load_settings = load_settings
        self._systemd = systemd
        self._health = Health()
        sender = Sender(
            settings.device.site,
            settings.device.name,
            _subject_key(settings),
            settings.publish.heatmap,
        )
        self._couriers: list[Courier] = []
        self._broken: MammoEdgeError | None = None
        self._ledger = stack.enter_context(
            open_ledger(settings.state.path, settings.sink_names, readdress)
        )
        demand_spool(self._ledger, settings.spool.path)
        spool = Spool(
            settings.spool.path, settings.spool.done, settings.spool.failed, self._health.beat
        )
        prove(self._ledger, spool)
        rebuild(self._ledger, spool, self._health)
        self._opener = stack.enter_context(
            ThreadPoolExecutor(1, "opener")
        )  # workers end with the thread that started them
        store = open_store(settings)
        open_ = functools.partial(open_serving, settings)
        serving = self._opener.submit(
            first_serving, open_, settings.model.bundle, store, self._health
        ).result()
        parts = Parts(
            self._ledger,
            spool,
            self._health,
            sender,
            look_again_s=SETTLED_AFTER * (settings.inbox.quiet_s or QUIET_S),
        )
        self._service = Service(parts, serving, self._wake_couriers)
        stack.callback(self._service.close)
        self._store = store
        self._models = Lifecycle(
            store, self._service, parts, self._prove, settings.model.trial_images
        )
        self._models.resume_trial()
        self._installer = Installer(store, settings.model, self._try_out, self._fetch)
        self._reception = Reception(parts, settings, self._service)
        self._announcer = status.Announcer(self._health, self._systemd, self._service.overdue)
        self._retention = Retention(settings, self._ledger, self._health)
        self._accelerator = Accelerator(
            self._service,
            self._health,
            lambda bundle: access_of(self._serving_settings, bundle),
            lambda folder: self._opener.submit(open_serving, self._serving_settings, folder),
            lambda: self._serving_settings.model.edgetpu_retry_s,
        )
        self._control = ControlServer(settings.control.socket, self._handlers())
        stack.callback(self._control.close)
        self._folder = (
            FolderIntake(settings.inbox, self._reception, self._health)
            if settings.intake.folder
            else None
        )
        self._broker = self._connect(password) if settings.uses_broker else None
        self._mqtt = (
            self._subscribe(self._broker) if self._broker and settings.intake.mqtt else None
        )
        self._commands = (
            self._obey(self._broker)
            if self._broker and settings.publish.mqtt and settings.intake.commands
            else None
        )
        self._open_couriers()
        self._drift, self._numbers = Drift(), Numbers(lambda: messages.fields(self._report()))
        self._drift.resume(serving, self._ledger.queries.results(limit=WINDOW))
        self._service.observers += [self._drift.observe, self._numbers.observe]
        self._shadow = self._open_shadow(store)
        if self._shadow:
            self._service.observers.append(self._shadow.observe)
            stack.callback(self._shadow.stop)
        self._metrics = self._open_metrics()
        if self._metrics:
            stack.callback(self._metrics.close)

    def _open_shadow(self, store: ModelStore) -> Shadow | None:
        """The second model; where it is not usable, the first goes on without it."""
        settings = self._settings
        if settings.model.shadow is None:
            return None
        if self._broker is None:
            log.warning('event=shadow_ignored why="%s"', NOBODY_TO_TELL)
            self._health.degrade(Cause.SHADOW_WITHOUT_BROKER, f"shadow model: {NOBODY_TO_TELL}")
            return None
        try:
            serving = self._open_one(store.trusted(store.find(settings.model.shadow)))
        except (StartupError, Unavailable) as error:
            self._health.degrade(Cause.SHADOW_UNUSABLE, f"shadow model: {error}")
            return None
        publish = functools.partial(self._broker.publish, self._topics.shadow_result)
        return Shadow(serving, self._path_of, publish, self._health)

    def _open_one(self, folder: Path) -> Serving:
        """
        A bundle in a single worker beside those that serve, which has proved it. Raises ModelError,
        Unavailable.
        """
        settings = self._serving_settings
        backend = settings.model.backend
        backend = (
            "cpu" if backend in {"auto", "edgetpu"} else backend
        )  # the model that serves has the accelerator
        worker, model = (
            settings.worker.model_copy(update={"count": 1}),
            settings.model.model_copy(update={"backend": backend}),
        )
        one = settings.model_copy(update={"worker": worker, "model": model})
        return self._opener.submit(open_serving, one, folder, expendable=True).result()

    def _try_out(self, folder: Path) -> None:
        """Prove a bundle that is to be installed. Raises as `_open_one`."""
        self._open_one(folder).workers.close()

    def _fetch(self, below: str) -> bytes:
        """What the broker has retained on `model/available`, or below it. Raises Unavailable."""
        if self._broker is None:
            msg = "no broker is configured"
            raise Unavailable(msg)
        return self._broker.fetch(
            self._topics.model_available + below, self._settings.model.fetch_s
        )

    def _path_of(self, image_id: str) -> Path | None:
        image = self._ledger.images.find(image_id)
        return image.path if image is not None else None

    def _open_metrics(self) -> MetricsServer | None:
        where, health = self._settings.metrics, self._health
        if where.port is None:
            return None
        return MetricsServer(
            (where.address, where.port),
            self._numbers.text,
            ready=lambda: health.phase in {Phase.READY, Phase.DEGRADED},
            alive=lambda: not health.stuck() and not self._service.overdue(),
        )

    def serve(self) -> None:
        """Start, be ready, work, drain."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._service.stop())
        threading.excepthook = self._stop_broken
        self._start()
        self._health.enter(Phase.READY)
        self._systemd.notify("READY=1")
        log.info(
            "event=ready version=%s backend=%s",
            __version__,
            self._service.serving.workers.runtime.backend,
        )
        self._service.run(DRAIN_S, self._begin_drain)
        self._finish()
        if self._broken:
            raise self._broken

    def _stop_broken(self, args: threading.ExceptHookArgs) -> None:
        """A loop ended that never should: better to start anew than to go on without it."""
        where = (
            traceback.extract_tb(args.exc_traceback)[-1] if args.exc_traceback else None
        )  # the message may name a file
        log.critical(
            "event=thread_died type=%s at=%s:%s",
            args.exc_type.__name__,
            *((where.filename, where.lineno) if where else ("", "")),
        )
        self._broken = MammoEdgeError(f"a thread died: {args.exc_type.__name__}")
        self._service.stop()

    def _start(self) -> None:
        self._announcer.start()
        self._control.start()
        for beside in (self._metrics, self._shadow):
            if beside:
                beside.start()
        for courier in self._couriers:
            courier.start()
        if self._broker:
            self._broker.start()
        for requests in (self._mqtt, self._commands):
            if requests:
                requests.start()
        self._retention.start()
        self._accelerator.start()
        if self._folder:
            self._folder.start()
            self._folder.wait_watching(WATCHING_S)

    def _begin_drain(self) -> None:
        self._health.enter(Phase.DRAINING)
        self._systemd.notify("STOPPING=1")
        log.info("event=draining")
        for intake in (
            self._folder,
            self._mqtt,
            self._commands,
            self._retention,
            self._accelerator,
            self._shadow,
        ):
            if intake:
                intake.stop()

    def _finish(self) -> None:
        for courier in self._couriers:
            courier.stop(COURIER_S)
        self._announcer.stop()
        if self._broker:
            self._broker.stop()

    def _connect(self, password: str | None) -> MqttClient:
        settings = self._settings
        return MqttClient(
            settings.broker,
            password=password,
            client_id=settings.broker.client_id
            or f"mammo-edge-{settings.device.site}-{settings.device.name}",
            will=(self._topics.status, status.offline()),
            health=self._health,
            max_incoming=settings.worker.max_file_mb * 2**20 + 65536,
        )

    def _subscribe(self, broker: MqttClient) -> MqttIntake:
        settings = self._settings
        group = settings.intake.shared_group
        return MqttIntake(
            broker,
            self._reception,
            self._health,
            topics=self._topics,
            response_prefix=settings.publish.response_prefix,
            shared=(group, shared_request_image(settings.device.site)) if group else None,
        )

    def _obey(self, broker: MqttClient) -> CommandIntake:
        """
        The commands that the configuration allows over MQTT, by the handlers of the control socket.
        """
        handlers = self._handlers()
        allowed = {
            str(name): handlers[name.replace("/", "-")] for name in self._settings.intake.commands
        }
        return CommandIntake(broker, self._health, self._topics, allowed)

    def _open_couriers(self) -> None:
        publish = self._settings.publish
        sinks: list[Sink] = []
        if self._broker:
            discovery = Discovery(
                self._broker,
                self._health,
                self._settings.state.path,
                homeassistant_messages(self._settings),
            )
            self._broker.on_connect(self._health.changed.set)
            self._announcer.attach(
                status.StatusPublisher(
                    self._broker,
                    self._topics,
                    self._health,
                    self._report,
                    publish.health_s,
                ),
                discovery.turn,
            )
            sinks.append(MqttSink(self._broker, self._topics, without_heatmap))
        if publish.jsonl:
            sinks.append(JsonlSink(publish.jsonl))
        for sink in sinks:
            courier = Courier(
                sink, self._ledger.outbox, self._health, reply_expiry_s=publish.reply_expiry_s
            )
            self._couriers.append(courier)
            if self._broker and isinstance(sink, MqttSink):
                self._broker.on_connect(courier.retry_held)

    def _wake_couriers(self) -> None:
        for courier in self._couriers:
            courier.wake()

    def _handlers(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        asked = Commands(self._settings, self._ledger, self._service, self._wake_couriers)
        return {
            "status": lambda _: messages.fields(self._report()),
            "replay": asked.replay,
            "retry": asked.retry,
            "reload": lambda _: self._reload(),
            "model-list": lambda _: {"models": self._store.listing()},
            "model-install": self._installer.install,
            "model-activate": lambda request: self._models.activate(str(request.get("bundle", ""))),
            "model-rollback": lambda _: self._models.rollback(),
        }

    def _prove(self, folder: Path) -> Serving:
        """
        A bundle in workers that have proved it, as the configuration has them. Raises ModelError,
        Unavailable, ConfigError.
        """
        if self._serving_settings.model.bundle:
            msg = (
                "model.bundle: the configuration names the model that "
                "serves: remove the key and restart first"
            )
            raise ConfigError(msg)
        return self._opener.submit(open_serving, self._serving_settings, folder).result()

    def _report(self) -> messages.Health:
        """The message `health`, which `mammo-edge status` and `/metrics` show, too."""
        numbers = {
            "queue": self._ledger.queries.summary(),
            "inbox": {"seen": self._folder.seen} if self._folder else None,
            "outbox": self._ledger.outbox.counts(),
            "drift": self._drift.report(),
        }
        device, serving = self._settings.device, self._service.serving
        return make_report(device, self._health, self._broker, serving, numbers)

    def _reload(self) -> dict[str, Any]:
        """Verify first; what cannot be had leaves everything as it was."""
        settings = self._load_settings()
        with self._models.changing:
            fresh = self._opener.submit(open_serving, settings).result()
            self._service.call(lambda: self._service.swap(fresh)).result()
            self._serving_settings = settings
            self._health.recover(*MODEL_CAUSES)
        logging.getLogger().setLevel(settings.log.level.upper())
        changed, needs_restart = changes(self._settings, settings)
        log.info(
            "event=reloaded bundle=%s needs_restart=%s",
            fresh.bundle.bundle_id[:16],
            ",".join(needs_restart),
        )
        return {
            "bundle": fresh.bundle.bundle_id,
            "changed": changed,
            "needs_restart": needs_restart,
        }


def _subject_key(settings: Settings) -> bytes | None:
    file = settings.publish.subject_key_file
    if file is None:
        return None
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        msg = f"publish.subject_key_file: {file}: {error.strerror}"
        raise ConfigError(msg) from None
    if len(key) < KEY_BYTES:
        msg = f"publish.subject_key_file: {file}: {len(key)} bytes, expected {KEY_BYTES} or more"
        raise ConfigError(msg)
    return key


def _clean_environment() -> None:
    """Our variables may hold secrets, and workers inherit the environment."""
    for name in list(os.environ):
        if is_ours(name) or name == "CREDENTIALS_DIRECTORY":
            del os.environ[name]
