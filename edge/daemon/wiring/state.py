"""Opens what survives a power cut, the ledger and the spool, and makes them agree."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.contract.render import Sender, readdress
from edge.daemon.pipeline.exam_names import ExamNames
from edge.daemon.wiring.exam_maker import Maker
from edge.errors import ConfigError
from edge.health import Health
from edge.storage.inbox_place import InboxPlace
from edge.storage.keys import LEDGER, own_key
from edge.storage.ledger import Ledger, open_ledger
from edge.storage.ledger.exam_rows import ExamRules
from edge.storage.ledger.witness import NAME as WITNESS
from edge.storage.rebuild import demand_spool, prove, rebuild
from edge.storage.sizes import TIMES
from edge.storage.spool import Spool

KEY_BYTES: Final = 16
"""The shortest key with which identifiers are hashed."""


def open_state(settings: Settings, health: Health, stack: ExitStack) -> tuple[Ledger, Spool]:
    """
    Open ledger and spool, and fill a new ledger from the archive if an earlier one is gone.

    Raises:
        StartupError: a folder is not usable, or another daemon has the ledger.
        Unavailable: the disk is full, failing or away.
    """
    ledger = stack.enter_context(
        open_ledger(settings.state.path, settings.sink_names, readdress, _exam_rules(settings))
    )
    demand_spool(ledger, settings.spool.path)
    where = settings.spool
    inbox = InboxPlace(settings.state.path, settings.inbox.path)
    most_mb = TIMES * settings.worker.max_file_mb
    spool = Spool(
        where.path,
        where.done,
        where.failed,
        health.beat,
        inbox,
        most_mb=most_mb,
        state=settings.state.path,
    )
    ledger.places.follow((spool.claimed, spool.done, spool.failed))
    prove(ledger, spool)
    rebuild(ledger, spool, health)
    ledger.restore.watch(where.path / WITNESS)
    return ledger, spool


def exam_names(settings: Settings, sender: Sender) -> ExamNames | None:
    """Say by which key exams get their names; None if no exams are made."""
    if not settings.makes_exams:
        return None
    return ExamNames(sender.ledger_key, settings.inbox.path if settings.exam.folders else None)


def _exam_rules(settings: Settings) -> ExamRules | None:
    if not settings.makes_exams:
        return None
    return ExamRules(
        Maker(settings.device),
        random_ids=settings.publish.subject_key_file is None,
        quiet_s=settings.exam.quiet_s,
        latest_s=settings.exam.latest_s,
        sinks=settings.exam_sinks,
    )


def sender_of(settings: Settings) -> Sender:
    """
    Say who publishes, with the key for hashed identifiers.

    Raises:
        ConfigError: the key cannot be read, or is too short.
    """
    device, publish = settings.device, settings.publish
    key = _subject_key(publish.subject_key_file)
    return Sender(device.site, device.name, key, publish.heatmap)


def with_ledger_key(sender: Sender, state: Path) -> Sender:
    """
    Add the key of pseudonyms that stay in the ledger: that of subjects, or one that is made.

    Raises:
        Unavailable: the disk does not take a new key.
    """
    return replace(sender, ledger_key=sender.subject_key or own_key(state / LEDGER))


def _subject_key(file: Path | None) -> bytes | None:
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
