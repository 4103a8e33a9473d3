"""Removes what was kept long enough, or makes room; never what is not delivered yet."""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.storage.erased_files import remove_all_of
from edge.storage.ledger import Ledger
from edge.storage.ledger.integrity import FOLDER
from edge.storage.ledger.redating import BUILT, Jump
from edge.storage.old_files import ANY_AGE, OldFiles, is_short
from edge.storage.pictures import AllRefusedError
from edge.storage.pruned import Pruned
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
        self._ledger = ledger
        self._now = now
        self._uptime = uptime
        self._calm_s = calm_s
        self._offset = now() - time.monotonic()
        self._calm_since = time.monotonic()
        self._next_pass = 0.0
        self._pruned = Pruned(health, ledger.audit)
        self._in_pass = False
        """True if the last look left something for the next turn."""
        self._files = OldFiles(settings, ledger, self._pruned, health.beat)
        self._stuck = self._files.stuck
        """Files, and all else, that could not be removed in this pass, with the reason."""

    def _rest_s(self) -> float:
        return TURN_S

    def look_at_clock(self) -> None:
        """Look for the first time, before anything is dated; turns try again if that fails."""
        _failure_of(self._follow_clock)

    def turn(self) -> None:
        """Make room if it is short; now and then look for what is old."""
        said = self._tidy()
        if self._stuck:
            reasons = ", ".join(sorted(set(self._stuck.values())))
            said.append(f"{len(self._stuck)} files cannot be removed: {reasons}")
        if said:
            self._health.degrade(Cause.RETENTION_FAILED, f"retention: {'; '.join(said)}")
        else:
            self._health.recover(Cause.RETENTION_FAILED)

    def _tidy(self) -> list[str]:
        """Do each step, whatever became of the one before; return why some failed."""
        steps = (
            self._follow_clock,
            self._make_room,
            self._make_room_for_state,
            self._look_for_old,
            self._pruned.tell_now_and_then,
        )
        failed = [why for step in steps if (why := _failure_of(step))]
        return list(dict.fromkeys(failed))

    def _follow_clock(self) -> None:
        jump = self._ledger.clock.tick(self._now, self._uptime)
        if jump is not None:
            log.warning("event=clock_jumped seconds=%.0f", jump.seconds)
            self._redate(jump)

    def _look_for_old(self) -> None:
        calm = self._clock_is_calm()
        if not (calm and self._ledger.clock.dates_hold) or time.monotonic() < self._next_pass:
            return
        if not self._in_pass:
            self._files.try_again()
        self._in_pass = self._remove_old()
        self._next_pass = 0.0 if self._in_pass else time.monotonic() + PASS_S

    def _clock_is_calm(self) -> bool:
        offset = self._now() - time.monotonic()
        if abs(offset - self._offset) > STEP_S:
            self._calm_since = time.monotonic()
        self._offset = offset
        return time.monotonic() - self._calm_since >= self._calm_s

    def _make_room(self) -> None:
        for scored in (True, False):
            while is_short(self._spool.done, self._keep.min_free_mb) and not self._stop.is_set():
                self._health.beat()
                if not self._files.remove(scored=scored, before=ANY_AGE, limit=BATCH):
                    break

    def _make_room_for_state(self) -> None:
        if is_short(self._state, self._keep.min_free_mb):
            try:
                pictures = self._ledger.pictures.remove_oldest(BATCH)
            except AllRefusedError:  # they keep no results, and are told of all the same
                self._forget(ANY_AGE)
                raise
            self._pruned.count("pruned_pictures", pictures)
            if not pictures:  # which only the page shows, so they go before results
                self._forget(ANY_AGE)

    def _remove_old(self) -> bool:
        """Remove some of what is too old; True if there may be more."""
        keep, removed = self._keep, 0
        for scored, days in ((True, keep.done_days), (False, keep.failed_days)):
            if days:
                before = self._now() - days * DAY_S
                removed += self._files.remove(scored=scored, before=before, limit=BATCH)
        if keep.results_days:
            removed += self._forget(self._now() - keep.results_days * DAY_S)
        if keep.scores_days:
            before = self._now() - keep.scores_days * DAY_S
            gone = self._ledger.pruning.forget_scores(before=before, limit=BATCH)
            self._pruned.count("pruned_scores", gone)
            removed += gone
        _date_anew(_dated(self._state, self._ledger), self._now())
        if keep.audit_days:
            try:
                self._ledger.audit.prune(self._now() - keep.audit_days * DAY_S)
            except OSError as error:
                self._stuck["audit"] = f"audit log: {error.strerror}"
        if keep.failed_days:
            self._remove_damaged(self._now() - keep.failed_days * DAY_S)
        return removed > 0

    def _forget(self, before: float) -> int:
        gone = self._ledger.pruning.forget(before=before, limit=BATCH)
        self._pruned.count("pruned_results", gone)
        return gone

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Stop as every loop, and tell the audit log the rest."""
        super().stop(timeout_s)
        self._pruned.tell()

    def _redate(self, jump: Jump) -> None:
        for path in _dated(self._state, self._ledger):
            with suppress(OSError):  # it keeps a wrong date, and all others get theirs
                dated = path.lstat().st_mtime
                os.utime(path, (jump.moved(dated), jump.moved(dated)), follow_symlinks=False)

    def _remove_damaged(self, before: float) -> None:
        for folder in (self._state / FOLDER).glob("*"):
            try:
                if folder.lstat().st_mtime < before:
                    remove_all_of(folder)
                    self._pruned.count("pruned_damaged")
            except OSError:
                self._stuck[folder.name] = "a ledger that was set aside"


def _dated(state: Path, ledger: Ledger) -> list[Path]:
    """List the files and folders that go by their own dates."""
    return [*(state / FOLDER).glob("*"), *ledger.audit.closed()]


def _date_anew(paths: list[Path], now: float) -> None:
    """Date what no right clock has dated, and no jump has moved, as if it had come now."""
    for path in paths:
        with suppress(OSError):
            if path.lstat().st_mtime < BUILT <= now:
                os.utime(path, (now, now), follow_symlinks=False)


def _failure_of(step: Callable[[], None]) -> str | None:
    """Do a step; return why disk or ledger do not let us, or None."""
    try:
        step()
    except (Unavailable, OSError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None
