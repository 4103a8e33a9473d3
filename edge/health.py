"""The state of the daemon, as `status`, `health` and systemd are told it."""

import threading
import time
from collections import Counter
from enum import StrEnum
from typing import Final

STAMP_S: Final = 20.0
"""The silence after which a loop counts as stuck, in seconds."""

APART: Final = frozenset({"intake-folder", "intake-reference"})
"""The loops that wait for the file system of the inbox, which may hang for as long as it likes."""


class Phase(StrEnum):
    """The phases in the life of the daemon."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    """Ready, but something needs a person or will not work for now: see the reasons."""
    DRAINING = "draining"


class Cause(StrEnum):
    """Reason codes: why the daemon is degraded. A value is published and keeps its meaning."""

    BROKER_AWAY = "broker_away"
    """There is no connection to the broker."""
    LOOP_FAILED = "loop_failed"
    """A part of the daemon failed as nobody foresaw, and goes on."""
    LOOP_HANGS = "loop_hangs"
    """A part of the daemon does not come to an end of what it does."""
    CLIENT_ID_TAKEN = "client_id_taken"
    """Another client connects to the broker under the device's client id."""
    SUBSCRIPTION_REFUSED = "subscription_refused"
    """The broker refuses a subscription, so requests or commands do not reach the device."""
    MODEL_SUBSCRIPTION_REFUSED = "model_subscription_refused"
    """The broker refuses the subscription below `model/available`, so no model comes from there."""
    STATUS_REFUSED = "status_refused"
    """The broker refuses `status` or `health`."""
    STATUS_HUNG_UP = "status_hung_up"
    """The broker ends the connection when it is sent `status` or `health`."""
    INFO_REFUSED = "info_refused"
    """The broker refuses `info`."""
    INFO_HUNG_UP = "info_hung_up"
    """The broker ends the connection when it is sent `info`."""
    HOMEASSISTANT_REFUSED = "homeassistant_refused"
    """The broker refuses the discovery messages for Home Assistant."""
    HOMEASSISTANT_HUNG_UP = "homeassistant_hung_up"
    """The broker ends the connection when it is sent a discovery message."""
    COMMAND_ANSWER_REFUSED = "command_answer_refused"
    """A command was obeyed, and the broker refuses its answer."""
    COMMAND_ANSWER_HUNG_UP = "command_answer_hung_up"
    """A command was obeyed, and the broker ends the connection when it is sent the answer."""
    MQTT_UNAVAILABLE = "mqtt_unavailable"
    """A result cannot be delivered to the broker for now."""
    MQTT_REFUSED = "mqtt_refused"
    """The broker refused results, which are kept."""
    REPLIES_UNAVAILABLE = "replies_unavailable"
    """A reply cannot be delivered to the broker for now."""
    REPLIES_REFUSED = "replies_refused"
    """The broker refused replies, which are kept for a while."""
    EXAMS_UNAVAILABLE = "exams_unavailable"
    """The result of an exam cannot be delivered to the broker for now."""
    EXAMS_REFUSED = "exams_refused"
    """The broker refused results of exams, which are kept."""
    EXAM_SEVERAL_PATIENTS = "exam_several_patients"
    """Images of several patients came as one exam, of which no result is published."""
    EXAM_TOO_LARGE = "exam_too_large"
    """More images than an exam has came as one, of which no result is published."""
    JSONL_UNAVAILABLE = "jsonl_unavailable"
    """A result cannot be written to the file of `[publish] jsonl`."""
    DICOM_UNAVAILABLE = "dicom_unavailable"
    """A report cannot be delivered to the PACS for now."""
    DICOM_REFUSED = "dicom_refused"
    """The PACS refused reports, or some could not be made; they are kept."""
    MAPS_UNAVAILABLE = "maps_unavailable"
    """The picture of a map cannot be drawn, or delivered to the PACS, for now."""
    MAPS_REFUSED = "maps_refused"
    """The PACS refused pictures of maps, or some could not be drawn; they are kept."""
    MAPS_NOT_POINTING = "maps_not_pointing"
    """The map of the serving model points elsewhere too often, so none goes to the PACS."""
    OUTBOX_UNAVAILABLE = "outbox_unavailable"
    """The ledger does not give out results, or does not take note of their delivery."""
    FILES_WAIT = "files_wait"
    """Files of the inbox cannot be taken for now."""
    REQUESTS_WAIT = "requests_wait"
    """Requests over MQTT cannot be taken for now and wait at the broker."""
    INBOX_AWAY = "inbox_away"
    """The inbox cannot be listed."""
    INBOX_WITHOUT_EVENTS = "inbox_without_events"
    """The kernel gives no events for the inbox, which is listed instead."""
    INBOX_UNREADABLE = "inbox_unreadable"
    """Files or folders in the inbox cannot be read."""
    INBOX_LOCKED = "inbox_locked"
    """A folder that a sender made in the inbox lets nobody else remove files."""
    INBOX_SET_ASIDE = "inbox_set_aside"
    """Taking a file failed for a reason nobody foresaw; it is left in the inbox, others are not."""
    INBOX_UNFINISHED = "inbox_unfinished"
    """A sender holds a file open and no longer writes."""
    INBOX_HANGS = "inbox_hangs"
    """The file system of the inbox does not answer."""
    INBOX_UNDELETABLE = "inbox_undeletable"
    """Files were taken and cannot be removed from the inbox."""
    RECEIVER_AWAY = "receiver_away"
    """The DICOM receiver does not run, though `[dicom] callers` names senders."""
    ORPHANS_LEFT = "orphans_left"
    """Files that lie in the spool unrecorded cannot be read."""
    SPACE_SHORT = "space_short"
    """The disk of the spool has less room than `[spool] min_free_mb`."""
    SPOOL_UNAVAILABLE = "spool_unavailable"
    """The spool is away, or does not say how much room it has."""
    STORAGE_UNAVAILABLE = "storage_unavailable"
    """Examinations pause, because the ledger or the spool cannot be read or written."""
    WORKERS_UNAVAILABLE = "workers_unavailable"
    """Examinations pause, because no worker can do them."""
    ARCHIVE_UNAVAILABLE = "archive_unavailable"
    """Examined images cannot be moved to `done` or `failed`."""
    RETENTION_FAILED = "retention_failed"
    """Old files or results cannot be removed."""
    LEDGER_REBUILT = "ledger_rebuilt"
    """The ledger was lost or damaged, and a new one begins."""
    CONFIG_REFUSED = "config_refused"
    """The configuration is refused, and the last one that worked is used."""
    MODEL_UNUSABLE = "model_unusable"
    """The activated model could not be opened at the start, and another one serves."""
    MODEL_ROLLED_BACK = "model_rolled_back"
    """A newly activated model failed on its first images, and the former one serves again."""
    MODEL_NOT_ROLLED_BACK = "model_not_rolled_back"
    """A newly activated model failed on its first images, and no former one can serve."""
    SHADOW_WITHOUT_BROKER = "shadow_without_broker"
    """A shadow model is configured, and no broker to tell its answers to."""
    SHADOW_UNUSABLE = "shadow_unusable"
    """The shadow model cannot be opened."""
    SHADOW_HUNG_UP = "shadow_hung_up"
    """The broker ends the connection when it is sent `shadow/result`."""
    CORAL_BUSY = "coral_busy"
    """Another process has the Coral accelerator, and the processor does the work."""
    CORAL_UNAVAILABLE = "coral_unavailable"
    """The Coral accelerator is absent, failed or was lost, and the processor does the work."""


class Health:
    """Stamps of loops, reasons for being degraded, counters. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._stamps: dict[str, float] = {}
        self._reasons: dict[Cause, str] = {}
        self.failing: dict[str, str] = {}
        """The last failure of each part that fails: the class of an error, or a sentence."""
        self._phase = Phase.STARTING
        self.counters: Counter[str] = Counter()
        self._started = time.monotonic()
        self.changed = threading.Event()
        """Set whenever the phase or the reasons change, cleared by the publisher of `status`."""

    def stamp(self, loop: str) -> None:
        """Note one turn of a loop."""
        self._mine.loop = loop
        with self._lock:
            self._stamps[loop] = time.monotonic()

    def beat(self) -> None:
        """Stamp the loop of this thread, from inside something that takes long."""
        loop = getattr(self._mine, "loop", None)
        if loop is not None:
            self.stamp(loop)

    def retire(self, loop: str) -> None:
        """Forget a loop that ended because it was told to."""
        with self._lock:
            self._stamps.pop(loop, None)

    def stuck(self) -> list[str]:
        """Return the loops that have not turned for STAMP_S, but for those that may hang."""
        return [loop for loop in self._silent() if loop not in APART]

    def tell_hanging(self) -> None:
        """Report that the inbox does not answer, or that it does again."""
        hanging = {loop: s for loop, s in self._silent().items() if loop in APART}
        if hanging:
            minutes = max(hanging.values()) // 60
            since = f"{minutes:.0f} minutes" if minutes > 1 else "a minute"
            why = f"inbox: its file system has not answered for {since}; all else goes on"
            self.degrade(Cause.INBOX_HANGS, why)
        else:
            self.recover(Cause.INBOX_HANGS)

    def _silent(self) -> dict[str, float]:
        """Return the loops that have not turned for STAMP_S, by name, with their silence."""
        now = time.monotonic()
        with self._lock:
            return {
                loop: now - at for loop, at in sorted(self._stamps.items()) if now - at > STAMP_S
            }

    def degrade(self, cause: Cause, reason: str) -> None:
        """
        Note that something is wrong.

        Args:
            cause: the code by which programs know the reason; a later sentence replaces its own.
            reason: a sentence for people, without names of files or people.
        """
        with self._lock:
            if self._reasons.get(cause) == reason:
                return
            self._reasons[cause] = reason
        self.changed.set()

    def recover(self, *causes: Cause) -> None:
        """Note that each of these is right again."""
        with self._lock:
            gone = [cause for cause in causes if self._reasons.pop(cause, None) is not None]
        if gone:
            self.changed.set()

    def enter(self, phase: Phase) -> None:
        """Enter another phase of life."""
        with self._lock:
            self._phase = phase
        self.changed.set()

    def count(self, what: str, number: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self.counters[what] += number

    @property
    def uptime_s(self) -> float:
        """Seconds since the daemon was started."""
        return time.monotonic() - self._started

    @property
    def reasons(self) -> list[str]:
        """Sentences that say why the daemon is degraded, in alphabetical order."""
        return [reason for reason, _ in self.reasons_and_causes()]

    def reasons_and_causes(self) -> list[tuple[str, Cause]]:
        """Return each of `reasons` with its code, as they are at one moment."""
        with self._lock:
            return sorted((reason, cause) for cause, reason in self._reasons.items())

    @property
    def phase(self) -> Phase:
        """The phase; `ready` turns into `degraded` by itself while there are reasons."""
        with self._lock:
            return Phase.DEGRADED if self._phase is Phase.READY and self._reasons else self._phase
