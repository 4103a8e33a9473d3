"""The command `forget`: erases an image and everything that the device knows of it."""

import hmac
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from edge.config.settings import Settings
from edge.daemon.control.handlers import resolve_images
from edge.daemon.control.original_erasure import OriginalErasure
from edge.daemon.pipeline.examination import Parts
from edge.errors import ConfigError, Unavailable
from edge.storage import erased_files
from edge.storage.keys import own_key
from edge.storage.names import result_path

KEY: Final = "forgotten.key"
"""The file, in the state folder, of the key by which the audit log names an erased image."""
WHOLE: Final = re.compile(r"[0-9a-f]{64}")
LEAST_DIGITS: Final = 8
"""Digits of an id that a person must give: nothing brings back what is erased."""
OUT_OF_REACH: Final = (
    "messages that the broker keeps or subscribers have",
    "reports and maps that a PACS has",
    "rotated copies of the JSON lines file",
    "the journal, which has 16 digits of the image's id",
    "backups",
)
"""Places in which something of the image may be that the device cannot erase."""
ON_ITS_WAY: Final = "a report or map that was on its way and was ended, which the PACS may have"


@dataclass
class Search:
    """The files that should be there and are not; on a mount that is away they would outlive us."""

    gone: bool
    """True if whoever asks knows that they are gone for good."""
    not_found: list[str] = field(default_factory=list)
    report_ended: bool = False
    """True if a report was ended on its way."""

    def missed(self, what: str, then: str = "") -> None:
        """
        Note a file that is not found, and what happens once it is back.

        Raises:
            Unavailable: nobody said that it is gone for good.
        """
        if not self.gone:
            msg = f"{what} is not found: its mount may be away (--gone if it is gone for good)"
            raise Unavailable(msg)
        self.not_found.append(f"{what}, which was not found{then}")


class Forgetting:
    """
    The handler of `forget`: a request's fields in, the answer's fields out.

    Args:
        settings: say where things lie.
        parts: the shared objects.
        end_reports: ends the report on its way if it is of one of these images; True if it was.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        end_reports: Callable[[Collection[str]], bool] = lambda _: False,
    ) -> None:
        self._end_reports = end_reports
        self._inbox = settings.inbox.path
        self._state = settings.state.path
        self._folders = (settings.spool.done, settings.spool.failed)
        self._jsonl = settings.publish.jsonl
        self._ledger = parts.ledger
        self._originals = OriginalErasure(self._inbox, parts.ledger, parts.spool)
        self._tasks = parts.tasks

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Erase an image, or all of an exam; an id in full is obeyed again, should a kill leave some.

        Args:
            request: `id`, an image id, a result id or the id of an exam or of its result, or its
                beginning; `gone`, true to erase also if a file is not found that should be there.

        Raises:
            ConfigError: it names nothing, or an image that is still to be examined.
            Unavailable: something cannot be erased now, or is not found, as on a mount that is
                away; the text says what.
        """
        name, image_ids = self._find(str(request.get("id", "")))
        digest = hmac.digest(own_key(self._state / KEY), name.encode(), "sha256").hex()
        # With whole ids of images: the ledger may know neither them nor their exam any more.
        again = ", ".join(f"`mammo-edge forget {image_id}`" for image_id in image_ids)
        search = Search(gone=request.get("gone") is True)
        try:
            found = self._erase_all(image_ids, search, of_exam=image_ids != [name])
            found["damaged_ledgers"] = erased_files.remove_damaged(self._state)
            self._ledger.erasure.scrub()
        except (OSError, Unavailable) as error:
            why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
            msg = f"{why}: once that is mended, run {again} again"
            if search.report_ended:  # the next run knows it no more
                msg += f"; out of reach: {ON_ITS_WAY}"
            raise Unavailable(msg) from None
        if self._jsonl and not self._jsonl.exists():
            search.not_found.append(f"{self._jsonl}, which is not there")
        on_its_way = [ON_ITS_WAY] if search.report_ended else []
        missed = [f"{what}: once it is back, run {again} again" for what in search.not_found]
        return {"digest": digest, **found, "out_of_reach": [*OUT_OF_REACH, *on_its_way, *missed]}

    def _erase_all(self, image_ids: list[str], search: Search, *, of_exam: bool) -> dict[str, int]:
        for path in self._ledger.erasure.files(image_ids):
            if not (path.exists() or result_path(path).exists()):
                search.missed(f"an image's file in {path.parent}")
        removed = sum(self._remove_originals(one, search) for one in image_ids)
        lines = 0
        if of_exam:  # whose id leads to its images no more without its rows
            lines += sum(map(self._blank, image_ids))
        # In the dispatcher's thread: no worker and no archiving touches the images meanwhile.
        found = self._tasks.call(lambda: self._erase(image_ids)).result()
        search.report_ended = self._end_reports(image_ids)
        left = (erased_files.remove_archived(self._folders, one) for one in image_ids)
        found["files"] += removed + sum(left)
        self._ledger.outbox.await_those_on_their_way()  # a line is written, then blanked
        return {**found, "lines": lines + sum(map(self._blank, image_ids))}

    def _remove_originals(self, image_id: str, search: Search) -> int:
        removed, sure = self._originals.remove(image_id)
        if not sure:  # the mount may come back, and the image would come in again
            then = " and would come in as a new image"
            search.missed(f"an image's original in {self._inbox}", then)
        return removed

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

    def _erase(self, image_ids: list[str]) -> dict[str, int]:
        removed: list[bool] = []
        results = self._ledger.erasure.erase(
            image_ids, lambda path: removed.append(erased_files.remove_file(path))
        )
        return {"files": sum(removed), "results": results}
