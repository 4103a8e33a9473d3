"""Fills a lost or damaged ledger from done and failed; the spool comes in as always."""

import json
import logging
import os
from collections.abc import Iterator
from datetime import datetime
from heapq import nlargest
from itertools import islice
from pathlib import Path
from typing import Any, Final, get_args

from edge.contract.render import name_result
from edge.contract.result import SCHEMA
from edge.domain import Source
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.storage.ledger import Ledger
from edge.storage.ledger.database import NEW
from edge.storage.ledger.restore import Archived
from edge.storage.ledger.witness import NAME as WITNESS
from edge.storage.ledger.witness import last_noted
from edge.storage.names import CLAIMED, sender_name
from edge.storage.spool import Spool

log = logging.getLogger(__name__)

BATCH: Final = 100
NEWEST: Final = 64
"""Results beside the images that are compared with the ledger at start."""
GENERATIONS: Final = 1000


def demand_spool(ledger: Ledger, root: Path) -> None:
    """
    Refuse to begin with an empty spool while images wait in it.

    They would be rejected as missing, and their disk may only be late.

    Raises:
        Unavailable: it is not there.
    """
    claimed, queue = root / CLAIMED, ledger.queries.summary()
    waiting = queue["waiting"] + queue["examining"]
    if waiting and not claimed.is_dir():
        msg = (
            f"spool.path: {root}: {waiting} images wait in it and it is not there: is "
            f"its disk mounted? To give them up, make {claimed}"
        )
        raise Unavailable(msg)


def prove(ledger: Ledger, spool: Spool) -> None:
    """
    Compare the ledger with its archive and its witness; set it aside if it has forgotten results.

    Raises:
        Unavailable: the disk is failing.
    """
    name, last = ledger.restore.numbering()
    noted = last_noted(spool.claimed.parent / WITNESS)
    if noted is not None and noted[0] == name and noted[1] > last:
        ledger.restore.give_up(f"its last result is {last}, but it had given number {noted[1]}")
        return
    for message in map(_read, _newest(spool)):
        if (
            message.get("ledger_id") == name
            and isinstance(message.get("seq"), int)
            and message["seq"] > last
        ):
            why = (
                f"its last result is {last}, but result {message['seq']} of it lies in the archive"
            )
            ledger.restore.give_up(why)
            return


def rebuild(ledger: Ledger, spool: Spool, health: Health) -> None:
    """
    Fill a ledger that is empty and whose archive is not; may be repeated after a kill.

    Raises:
        Unavailable: the disk is full or failing.
    """
    why = ledger.restore.why_empty
    if why is None:
        return
    found, taken = _archived(spool), 0
    while batch := list(islice(found, BATCH)):
        health.beat()
        taken += ledger.restore.take_up(batch)
    waiting = sum(1 for _ in spool.orphans())
    if why == NEW and not taken:
        return
    cause = "the ledger was gone" if why == NEW else f"the ledger was {why}"
    said = (
        f"{cause}; a new one has {taken} images of done and failed, whose "
        f"results are sent again, and {waiting} of the spool"
    )
    log.critical('event=ledger_rebuilt why="%s" archived=%d waiting=%d', cause, taken, waiting)
    health.degrade(
        Cause.LEDGER_REBUILT,
        f"{said}. Replies to these are not possible; restart when you have read this",
    )


def _newest(spool: Spool) -> list[Path]:
    entries = (entry for folder in (spool.done, spool.failed) for entry in _receipts(folder))
    try:
        newest = nlargest(NEWEST, ((entry.stat().st_mtime_ns, entry.path) for entry in entries))
    except OSError as error:
        msg = f"archive: {error.strerror}"
        raise Unavailable(msg) from None
    return [Path(path) for _, path in newest]


def _archived(spool: Spool) -> Iterator[Archived]:
    """Yield what lies in the archive and is ours, proved by its name and its result id."""
    for folder, scored in ((spool.done, True), (spool.failed, False)):
        for entry in _receipts(folder):
            item = _parse(Path(entry.path), scored=scored)
            if item is not None:
                yield item


def _receipts(folder: Path) -> "Iterator[os.DirEntry[str]]":
    """Yield the files that may be results; a link or a pipe of that name is none of ours."""
    with os.scandir(folder) as entries:
        for entry in entries:
            named = entry.name.endswith(".json") and not entry.name.startswith(".")
            if named and entry.is_file(follow_symlinks=False):
                yield entry


def _parse(result: Path, *, scored: bool) -> Archived | None:
    path = result.with_suffix("")
    message = _read(result)
    try:
        image_id, result_id, bundle_id = (
            message["image_id"],
            message["result_id"],
            message["model"]["bundle"],
        )
        generation = _generation(result_id, image_id, bundle_id, message["model"]["preprocess"])
        name = sender_name(path.name, image_id)
        received_at = datetime.fromisoformat(message["source"]["received_at"]).timestamp()
        source = message["source"]["kind"]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
    if (
        generation is None
        or name is None
        or message["schema"] != SCHEMA
        or source not in get_args(Source)
        or not path.is_file()
    ):
        return None
    payload = result.read_bytes()
    return Archived(
        image_id, result_id, bundle_id, generation, scored, path, name, source, received_at, payload
    )


def _generation(result_id: str, image_id: str, bundle_id: str, preprocess_id: str) -> int | None:
    """Find the generation of a result by trying: its id is made from it."""
    numbers = range(GENERATIONS)
    return next(
        (
            number
            for number in numbers
            if name_result(image_id, bundle_id, preprocess_id, number) == result_id
        ),
        None,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        message = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
