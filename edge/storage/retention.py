"""Removes what was kept long enough, or makes room; never what is not delivered yet."""

import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from errno import ENOENT
from functools import partial
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.storage.archive_folders import NAME, ArchiveFolders
from edge.storage.ledger import Ledger
from edge.storage.ledger.clock import Jump
from edge.storage.ledger.integrity import FOLDER
from edge.storage.ledger.records import Image
from edge.storage.names import result_path
from edge.storage.pruned import Pruned
from edge.system import files
from edge.system.threads import STOP_S, Loop
from edge.system.uptime import uptime_s

log = logging.getLogger(__name__)

LOOP: Final = "retention"
TURN_S: Final = 2.0
PASS_S: Final = 60.0
"""Seconds between two looks for what is old."""
CALM_S: Final = 3600.0
"""
Seconds for which the clock must have run smoothly before age counts.

A device may start in the past and jump into the present.
"""
STEP_S: Final = 60.0
DAY_S: Final = 86400.0
BATCH: Final = 32


class Retention(Loop):
    """Prunes in a thread of its own: files before results, done before failed, oldest first."""

    def __init__(  # noqa: PLR0913 - clocks, for tests
        self,
        settings: Settings,
        ledger: Ledger,
        health: Health,
        *,
        now: Callable[[], float] = time.time,
        uptime: Callable[[], float] = uptime_s,
        calm_s: float = CALM_S,
    ) -> None:
        super().__init__(LOOP, health)
        self._keep = settings.retention
        self._spool = settings.spool
        self._state = settings.state.path
        folders = (settings.spool.done, settings.spool.failed)
        self._remove_file = partial(_remove_unless_away, ArchiveFolders(self._state, folders))
        self._ledger = ledger
        self._now = now
        self._uptime = uptime
        self._calm_s = calm_s
        self._offset = now() - time.monotonic()
        self._calm_since = time.monotonic()
        self._next_pass = 0.0
        self._pruned = Pruned(health, ledger.audit)
        self._stuck: dict[str, str] = {}
        """Images whose files could not be removed, with the reason."""

    def _rest_s(self) -> float:
        return TURN_S

    def turn(self) -> None:
        """Make room if it is short; now and then look for what is old."""
        try:
            self._tidy()
            self._tell_stuck()
        except (Unavailable, OSError) as error:
            self._health.degrade(
                Cause.RETENTION_FAILED, f"retention: {getattr(error, 'strerror', None) or error}"
            )

    def _tell_stuck(self) -> None:
        if self._stuck:
            why = f"retention: {len(self._stuck)} files cannot be removed: " + ", ".join(
                sorted(set(self._stuck.values()))
            )
            self._health.degrade(Cause.RETENTION_FAILED, why)
        else:
            self._health.recover(Cause.RETENTION_FAILED)

    def _tidy(self) -> None:
        jump = self._ledger.clock.tick(self._now, self._uptime)
        if jump is not None:
            log.warning("event=clock_jumped seconds=%.0f", jump.seconds)
            self._redate(jump)
        self._make_room()
        if self._clock_is_calm() and time.monotonic() >= self._next_pass:
            self._stuck.clear()  # tried again
            more = self._remove_old()
            self._next_pass = 0.0 if more else time.monotonic() + PASS_S
        self._pruned.tell_now_and_then()

    def _clock_is_calm(self) -> bool:
        offset = self._now() - time.monotonic()
        if abs(offset - self._offset) > STEP_S:
            self._calm_since = time.monotonic()
        self._offset = offset
        return time.monotonic() - self._calm_since >= self._calm_s

    def _make_room(self) -> None:
        while _is_short(self._spool.done, self._keep.min_free_mb) and not self._stop.is_set():
            self._health.beat()
            if not (
                self._remove_files(scored=True, before=float("inf"))
                or self._remove_files(scored=False, before=float("inf"))
            ):
                break
        if _is_short(self._state, self._keep.min_free_mb):
            pictures = self._ledger.pictures.remove_oldest(BATCH)
            self._pruned.count("pruned_pictures", pictures)
            if not pictures:  # which only the page shows, so they go before results
                self._forget(float("inf"))

    def _remove_old(self) -> bool:
        """Remove some of what is too old; True if there may be more."""
        keep, removed = self._keep, 0
        for scored, days in ((True, keep.done_days), (False, keep.failed_days)):
            removed += (
                self._remove_files(scored=scored, before=self._now() - days * DAY_S) if days else 0
            )
        if keep.results_days:
            removed += self._forget(self._now() - keep.results_days * DAY_S)
        if keep.scores_days:
            before = self._now() - keep.scores_days * DAY_S
            gone = self._ledger.pruning.forget_scores(before=before, limit=BATCH)
            self._pruned.count("pruned_scores", gone)
            removed += gone
        if keep.audit_days:
            try:
                self._ledger.audit.prune(self._now() - keep.audit_days * DAY_S)
            except OSError as error:
                self._stuck["audit"] = f"audit log: {error.strerror}"
        if keep.failed_days:
            self._remove_damaged(self._now() - keep.failed_days * DAY_S)
        return removed > 0

    def _remove_files(self, *, scored: bool, before: float) -> int:
        removed = 0
        for image in self._next_files(scored=scored, before=before):
            if self._removed(image.image_id):
                self._pruned.count("pruned_done" if scored else "pruned_failed")
                removed += 1
            if removed and _enough(self._spool.done, self._keep.min_free_mb, before):
                break
        if removed:
            log.info("event=files_pruned scored=%s count=%d", scored, removed)
        return removed

    def _next_files(self, *, scored: bool, before: float) -> list[Image]:
        """List the oldest files, but for those that could not be removed."""
        limit = BATCH + len(self._stuck)
        found = self._ledger.pruning.files(scored=scored, before=before, limit=limit)
        return [image for image in found if image.image_id not in self._stuck]

    def _removed(self, image_id: str) -> bool:
        """Remove one file; one that cannot be removed keeps none of the others."""
        try:
            return self._ledger.pruning.remove_file(image_id, self._remove_file)
        except OSError as error:
            self._stuck[image_id] = str(error.strerror)
            return False

    def _forget(self, before: float) -> int:
        gone = self._ledger.pruning.forget(before=before, limit=BATCH)
        self._pruned.count("pruned_results", gone)
        return gone

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Stop as every loop, and tell the audit log the rest."""
        super().stop(timeout_s)
        self._pruned.tell()

    def _redate(self, jump: Jump) -> None:
        for path in [*(self._state / FOLDER).glob("*"), *self._ledger.audit.closed()]:
            with suppress(OSError):  # it keeps a wrong date, and all others get theirs
                dated = path.lstat().st_mtime
                os.utime(path, (jump.moved(dated), jump.moved(dated)), follow_symlinks=False)

    def _remove_damaged(self, before: float) -> None:
        for folder in (self._state / FOLDER).glob("*"):
            if folder.lstat().st_mtime < before:
                _remove_all_of(folder)
                if os.path.lexists(folder):
                    self._stuck[folder.name] = "a ledger that was set aside"
                    continue
                self._pruned.count("pruned_damaged")


def _remove_unless_away(archives: ArchiveFolders, path: Path) -> None:
    """Remove a file, or find it gone from the folder that had it, not with its mount."""
    there = path.exists() or result_path(path).exists()
    if not there and archives.is_away(path.parent):
        why = f"{path.parent} is not the folder that it was: mount it, or remove {NAME}"
        raise OSError(ENOENT, why)
    _remove(path)


def _remove_all_of(folder: Path) -> None:
    """Remove as much of a folder as goes; also a link or a file that somebody put there."""
    with suppress(OSError):
        if not folder.is_dir() or folder.is_symlink():
            folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    result_path(path).unlink(missing_ok=True)


def _is_short(folder: Path, min_free_mb: int) -> bool:
    few_bytes = files.free_bytes(folder) < min_free_mb * 2**20
    return few_bytes or files.short_of_inodes(folder)


def _enough(folder: Path, min_free_mb: int, before: float) -> bool:
    return before == float("inf") and not _is_short(folder, min_free_mb)
