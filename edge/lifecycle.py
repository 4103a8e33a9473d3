"""Which model serves: activate, roll back, and go back by itself when a new one proves bad in use."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge.errors import MammoEdgeError, ModelError
from edge.health import Health
from edge.service import Finished, Service, Serving
from edge.store import SHIPPED, ModelStore
from edge.workers import Died

log = logging.getLogger(__name__)

FAILURES: Final = 2
"""So many different images of which workers die are the model's fault: one may be the image's own."""


def first_serving(open_: Callable[[Path], Serving], configured: Path | None, store: ModelStore, health: Health) -> Serving:
    """
    What serves at start. An installed model that is no longer usable gives way to the one before it, then to the shipped one, and says so.

    Raises:
        ModelError: none is usable, or the one that the configuration names is not.
        Unavailable: no worker came up.
    """
    if configured is not None:
        return open_(configured)
    refused: ModelError | None = None
    choices: tuple[Callable[[], str], ...] = (lambda: store.active().current, lambda: store.active().previous or SHIPPED, lambda: SHIPPED)
    for choose in choices:
        try:
            serving = open_(store.trusted(choose()))
        except ModelError as error:
            refused = refused or error
            log.error('event=model_unusable why="%s"', error)  # noqa: TRY400 - the text says it all
        else:
            if refused:
                health.degrade("model", f"model: what was activated is not usable, another one serves: {refused}")
            return serving
    msg = f"no installed model is usable, nor the shipped one: {refused}"
    raise ModelError(msg)


class Lifecycle:
    """
    Changes the serving model of a running daemon.

    Args:
        store: the installed models.
        service: whose model is swapped.
        health: is told of a roll-back.
        prove: opens a bundle in workers that have given its known answers, or raises.
        trial_images: how long a new model is watched.
    """

    def __init__(self, store: ModelStore, service: Service, health: Health, prove: Callable[[Path], Serving], trial_images: int) -> None:
        self._store = store
        self._service = service
        self._health = health
        self._prove = prove
        self._trial_images = trial_images
        self._one_at_a_time = threading.Lock()
        self._watched: str | None = None
        self._left = 0
        self._failed: set[str] = set()
        service.observers.append(self._watch)

    @property
    def changing(self) -> threading.Lock:
        """Held while another model is proved and taken; a reload holds it too."""
        return self._one_at_a_time

    def activate(self, typed: str) -> dict[str, Any]:
        """
        Prove an installed bundle, let new images go to it, and have it serve from the next start on.

        Raises:
            ConfigError: there is no such bundle. ModelError: it is not usable; the old one goes on. Unavailable: not now.
        """
        with self._one_at_a_time:
            bundle_id = self._store.find(typed)
            answer = self._swap(bundle_id)
            self._service.call(lambda: self._begin_trial(answer["bundle"])).result()
            return answer

    def rollback(self) -> dict[str, Any]:
        """Go back to what served before. Raises as `activate`."""
        with self._one_at_a_time:
            return self._swap(self._store.rollback_target())

    def _swap(self, bundle_id: str) -> dict[str, Any]:
        fresh = self._prove(self._store.trusted(bundle_id))
        try:
            active = self._store.activate(bundle_id)  # before the swap: from here on every start takes it, and it was proved
        except MammoEdgeError:
            fresh.workers.close()
            raise
        self._service.call(lambda: self._service.swap(fresh)).result()
        self._health.recover("model")
        manifest = fresh.bundle.manifest
        log.info("event=model_activated bundle=%s version=%s", fresh.bundle.bundle_id[:16], manifest.version)
        return {"bundle": fresh.bundle.bundle_id, "name": manifest.name, "version": manifest.version, "previous": active.previous}

    def _begin_trial(self, bundle_id: str) -> None:
        self._watched, self._left, self._failed = bundle_id, self._trial_images, set()

    def _watch(self, finished: Finished) -> None:
        """In the service's thread: count what becomes of a new model's first images."""
        if self._watched != finished.serving.bundle.bundle_id:
            return
        if isinstance(finished.verdict, Died):
            self._failed.add(finished.image.image_id)
        else:
            self._left -= 1
        if len(self._failed) >= FAILURES and self._left > 0:
            self._watched = None
            threading.Thread(target=self._roll_back, name="model-rollback", daemon=True).start()
        elif self._left <= 0:
            self._watched = None

    def _roll_back(self) -> None:
        try:
            answer = self.rollback()
        except MammoEdgeError as error:
            self._health.degrade("model", f"model: workers die of it, and there is no way back: {error}")
            return
        self._health.count("model_rollbacks")
        self._health.degrade("model", f"model: workers died of {FAILURES} of its first images; version {answer['version']} serves again")
        log.warning("event=model_rolled_back bundle=%s", answer["bundle"][:16])
