"""The command `forget`: erases an image and everything that the device knows of it."""

import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge.config.settings import Settings
from edge.daemon.control.handlers import resolve_images
from edge.daemon.intake.walk import Walk
from edge.daemon.pipeline.examination import Parts
from edge.errors import ConfigError, Unavailable
from edge.storage import erased_files
from edge.storage.keys import own_key
from edge.storage.ledger.records import Origin
from edge.storage.ledger.states import State
from edge.system.files import NotReadyError, fingerprint

KEY: Final = "forgotten.key"
"""The file, in the state folder, of the key by which the audit log names an erased image."""
WHOLE: Final = re.compile(r"[0-9a-f]{64}")
LEAST_DIGITS: Final = 8
"""Digits of an id that a person must give: nothing brings back what is erased."""
OUT_OF_REACH: Final = (
    "messages that the broker keeps or subscribers have",
    "rotated copies of the JSON lines file",
    "the journal, which has 16 digits of the image's id",
    "backups",
)
"""Places in which something of the image may be that the device cannot erase."""


class Forgetting:
    """
    The handler of `forget`: a request's fields in, the answer's fields out.

    Args:
        settings: say where things lie.
        parts: the shared objects.
    """

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._inbox = settings.inbox.path
        self._state = settings.state.path
        self._jsonl = settings.publish.jsonl
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._tasks = parts.tasks

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Erase an image, or all of an exam; an id in full is obeyed again, should a kill leave some.

        Args:
            request: `id`, an image id, a result id or the id of an exam or of its result, or its
                beginning.

        Raises:
            ConfigError: it names nothing, or an image that is still to be examined.
            Unavailable: something cannot be erased now; the text says what.
        """
        name, image_ids = self._find(str(request.get("id", "")))
        digest = hmac.digest(own_key(self._state / KEY), name.encode(), "sha256").hex()
        try:
            found = self._erase_all(image_ids, of_exam=image_ids != [name])
            found["damaged_ledgers"] = erased_files.remove_damaged(self._state)
            self._ledger.erasure.scrub()
        except (OSError, Unavailable) as error:
            # With whole ids of images: the ledger may know neither them nor their exam any more.
            why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
            again = ", ".join(f"`mammo-edge forget {image_id}`" for image_id in image_ids)
            msg = f"{why}: once that is mended, run {again} again"
            raise Unavailable(msg) from None
        return {"digest": digest, **found, "out_of_reach": list(OUT_OF_REACH)}

    def _erase_all(self, image_ids: list[str], *, of_exam: bool) -> dict[str, int]:
        self._ledger.erasure.check(image_ids)
        lines = 0
        if of_exam:  # whose id leads to its images no more without its rows
            lines += sum(map(self._blank, image_ids))
        removed = sum(map(self._remove_originals, image_ids))
        # In the dispatcher's thread: no worker and no archiving touches the images meanwhile.
        found = self._tasks.call(lambda: self._erase(image_ids)).result()
        found["files"] += removed
        self._ledger.outbox.await_those_on_their_way()  # a line is written, then blanked
        return {**found, "lines": lines + sum(map(self._blank, image_ids))}

    def _blank(self, image_id: str) -> int:
        return erased_files.blank_lines(self._jsonl, image_id) if self._jsonl else 0

    def _find(self, typed: str) -> tuple[str, list[str]]:
        """Return the whole id of the image or exam that is meant, and its images."""
        if len(typed) < LEAST_DIGITS:
            msg = f"{typed}: {len(typed)} digits of an id, expected {LEAST_DIGITS} or more"
            raise ConfigError(msg)
        exams = self._ledger.exams.find(typed)
        if not exams and WHOLE.fullmatch(typed):
            return typed, [typed]
        images = self._ledger.queries.image_ids(typed)
        if not exams:
            (image_id,) = resolve_images([typed], lambda _: images)
            return image_id, [image_id]
        if len(exams) > 1 or images:
            msg = f"{typed}: {len(exams)} exams and {len(images)} images of that id, expected one"
            raise ConfigError(msg)
        return exams[0], self._ledger.exams.images_of(exams[0])

    def _remove_originals(self, image_id: str) -> int:
        """Remove what copying has left of an image in the inbox, from which it would come again."""
        image, removed = self._ledger.images.find(image_id), 0
        if image is None or image.state is not State.ARCHIVED:
            return 0
        for origin in self._ledger.origins.all():
            if origin.image_id == image_id:
                removed += self._remove_original(origin.path, image_id) or self._remove_moved(
                    origin
                )
        return removed

    def _remove_moved(self, origin: Origin) -> int:
        """Remove an original that is no longer at its place, wherever in the inbox it is."""
        return sum(
            self._remove_original(folder / name, origin.image_id)
            for folder, names in Walk(self._inbox)
            for name in names
            if _size(folder / name) == origin.fingerprint[2]
        )

    def _remove_original(self, path: Path, image_id: str) -> bool:
        try:
            if not self._spool.is_original(path, image_id):
                return False
            if self._spool.remove_origin(path, fingerprint(path)):
                return True
        except NotReadyError:
            msg = f"{self._inbox}: a file there cannot be read, so it might come in again"
            raise Unavailable(msg) from None
        msg = f"{self._inbox}: the file cannot be removed there: check the folder's mode"
        raise Unavailable(msg)

    def _erase(self, image_ids: list[str]) -> dict[str, int]:
        removed: list[bool] = []
        results = self._ledger.erasure.erase(
            image_ids, lambda path: removed.append(erased_files.remove_file(path))
        )
        return {"files": sum(removed), "results": results}


def _size(path: Path) -> int | None:
    """Return the size of a regular file in bytes; None if there is none."""
    try:
        return fingerprint(path)[2]
    except NotReadyError:
        return None
