"""Activation of models: by command, and back by itself if a new one proves bad in use."""

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge.daemon.pipeline.examination import Examination, Parts, Reject
from edge.daemon.rollout.handover import hand_over
from edge.daemon.rollout.trial import PAST, Trial, past_of
from edge.daemon.workers.serving import Serving
from edge.errors import MammoEdgeError, ModelError, Unavailable
from edge.health import Cause
from edge.models.active import Active
from edge.models.bundle import verify
from edge.models.catalogue import listing
from edge.models.comparison import refuse_chance, worth
from edge.models.store import ModelStore

log = logging.getLogger(__name__)

MODEL_CAUSES: Final = (
    Cause.MODEL_UNUSABLE,
    Cause.MODEL_ROLLED_BACK,
    Cause.MODEL_NOT_ROLLED_BACK,
)
"""Causes that end when another model is activated."""


class Activation:
    """
    Changes the serving model of a running daemon.

    Args:
        store: the installed models.
        parts: `model` is swapped, `health` is told of a roll-back, `ledger` knows former images.
        reject: concludes an image that no worker need see.
        prove: opens a bundle in workers that have given its known answers, or raises.
        trial_images: how long a new model is watched.
    """

    def __init__(
        self,
        store: ModelStore,
        parts: Parts,
        reject: Reject,
        prove: Callable[[Path], Serving],
        trial_images: int,
    ) -> None:
        self._store = store
        self._parts = parts
        self._model = parts.model
        self._tasks = parts.tasks
        self._health = parts.health
        self._ledger = parts.ledger
        self._reject = reject
        self._prove = prove
        self._trial_images = trial_images
        self._one_at_a_time = threading.Lock()
        self._trial: Trial | None = None
        self._failed: Trial | None = None

    @property
    def changing(self) -> threading.Lock:
        """The lock held while another model is proved and taken; a reload holds it too."""
        return self._one_at_a_time

    def listing(self) -> list[dict[str, Any]]:
        """List the installed models."""
        return listing(self._store)

    def activate(self, typed: str, *, force: bool = False) -> dict[str, Any]:
        """
        Prove an installed bundle and let it serve new images, also from the next start on.

        Args:
            typed: a version, an id or its beginning, or `shipped`.
            force: take it also if it was measured to be no better than chance.

        Raises:
            ConfigError: there is no such bundle, or it is no better than chance. ModelError: it is
                not usable; the old one goes on. Unavailable: not now.
        """
        with self._one_at_a_time:
            bundle_id = self._store.find(typed)
            folder = self._store.trusted(bundle_id)
            if not force:
                refuse_chance(verify(folder).manifest)
            newest = self._newest()
            fresh = self._prove(folder)
            trial = self._make_trial(fresh, newest)

            def begin() -> None:
                self._model.swap(fresh)
                self._trial, self._failed = trial, None

            return self._swap(
                fresh, lambda: self._store.activate(bundle_id, trial=trial is not None), begin
            )

    def rollback(self) -> dict[str, Any]:
        """Go back to the model that served before; raises as `activate`."""
        with self._one_at_a_time:
            bundle_id = self._store.rollback_target()
            fresh = self._prove(self._store.trusted(bundle_id))

            def end() -> None:
                self._model.swap(fresh)
                self._trial = None

            return self._swap(fresh, lambda: self._store.activate(bundle_id), end)

    def resume_trial(self) -> None:
        """
        Go on with the trial of a model that was on trial when the last daemon ended.

        Its images are counted anew. To be called before the dispatcher runs.
        """
        serving = self._model.serving
        try:
            active = self._store.active()
        except ModelError:
            return  # then another one serves
        if active.trial and serving.bundle.folder == self._store.folder(active.current):
            self._trial = self._make_trial(serving, self._newest())

    def _newest(self) -> list[bytes]:
        return self._ledger.queries.results(limit=2 * PAST)

    def _make_trial(self, serving: Serving, newest: list[bytes]) -> Trial | None:
        bundle_id = serving.bundle.bundle_id
        return (
            Trial(bundle_id, self._trial_images, past_of(newest, bundle_id))
            if self._trial_images
            else None
        )

    def _swap(
        self, fresh: Serving, choose: Callable[[], Active], take: Callable[[], None]
    ) -> dict[str, Any]:
        before = worth(self._model.serving.bundle.manifest)
        try:
            # Before the swap: from here on every start takes it, and it was proved.
            active = choose()
        except MammoEdgeError:
            fresh.workers.close()
            raise
        self._tasks.call(take).result()
        self._health.recover(*MODEL_CAUSES)
        manifest = fresh.bundle.manifest
        log.info(
            "event=model_activated bundle=%s version=%s",
            fresh.bundle.bundle_id[:16],
            manifest.version,
        )
        return {
            "bundle": fresh.bundle.bundle_id,
            "name": manifest.name,
            "version": manifest.version,
            "previous": active.previous,
            "before": before,
            "after": worth(manifest),
        }

    def observe(self, examination: Examination) -> None:
        """Count the outcomes of a new model's first images; in the dispatcher's thread."""
        bundle_id, image_id = examination.serving.bundle.bundle_id, examination.image.image_id
        # The workers of a failed model finish what they had.
        if self._failed is not None and self._failed.bundle_id == bundle_id:
            self._failed.hold_against(image_id, examination.verdict)
            if self._model.serving.bundle.bundle_id != bundle_id:
                hand_over(self._failed, self._parts, self._reject)
        elif self._trial is not None and self._trial.bundle_id == bundle_id:
            self._judge(self._trial, examination)

    def _judge(self, trial: Trial, examination: Examination) -> None:
        why = trial.note(examination.image.image_id, examination.verdict)
        if why is not None:
            self._trial, self._failed = None, trial
            self._model.hold()  # nothing more for it to spoil
            threading.Thread(
                target=self._roll_back, args=(trial, why), name="model-rollback", daemon=True
            ).start()
        elif trial.over:
            self._trial = None
            try:
                self._store.end_trial(examination.serving.bundle.folder)
            except MammoEdgeError as error:  # then the next start begins another trial
                log.warning('event=trial_not_ended why="%s"', error)

    def _roll_back(self, trial: Trial, why: str) -> None:
        try:
            version = self._take_back(trial)
        except MammoEdgeError as error:
            self._health.degrade(
                Cause.MODEL_NOT_ROLLED_BACK, f"model: {why}, and there is no way back: {error}"
            )
            self._tasks.call(self._go_on).result()
            return
        if version is not None:
            self._health.count("model_rollbacks")
            self._note(trial)
            self._health.degrade(
                Cause.MODEL_ROLLED_BACK, f"model: {why}; version {version} serves again"
            )
            log.warning("event=model_rolled_back version=%s", version)

    def _note(self, trial: Trial) -> None:
        """Write down that nobody asked for it; a full disk does not undo it."""
        with contextlib.suppress(Unavailable):
            self._ledger.audit.add("model-rollback", bundle=trial.bundle_id, step="failed-trial")

    def _go_on(self) -> None:
        """Go on with the model that failed, for there is no other; in the dispatcher's thread."""
        self._failed = None
        self._model.release()

    def _take_back(self, trial: Trial) -> str | None:
        """
        Make the former model serve again.

        Returns:
            Its version; None if somebody was quicker and has changed the model already.
        """
        with self._one_at_a_time:
            if self._model.serving.bundle.bundle_id != trial.bundle_id:
                self._tasks.call(lambda: hand_over(trial, self._parts, self._reject)).result()
                return None
            fresh = self._prove(self._store.trusted(self._store.rollback_target()))

            def swap() -> None:
                hand_over(trial, self._parts, self._reject, lambda: self._model.swap(fresh))

            return str(self._swap(fresh, self._store.take_back, swap)["version"])
