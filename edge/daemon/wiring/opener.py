"""Opens models: each in workers of its own, which have proved it."""

import functools
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from edge.config.settings import Settings
from edge.daemon.rollout.first_model import first_serving
from edge.daemon.workers.servable import access_of, open_serving, open_store
from edge.daemon.workers.serving import Serving
from edge.errors import ConfigError
from edge.health import Health
from edge.models.bundle import Bundle
from edge.system.coral import Access


class Opener:
    """
    Opens bundles in one thread that lives as long as the daemon.

    Workers end with the thread that started them.

    Args:
        settings: as the daemon was started with them; `reload` replaces them.
        stack: ends the thread.
    """

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self.settings = settings
        """The settings with which models are opened from now on."""
        self.store = open_store(settings)
        """The installed models."""
        self._thread = stack.enter_context(ThreadPoolExecutor(1, "opener"))

    def first(self, health: Health) -> Serving:
        """Open the model that serves at start; see `first_serving`."""
        open_ = functools.partial(open_serving, self.settings)
        # the site chose its operating point and runtime for its own bundle
        plain = self.settings.model.model_copy(update={"operating_point": None, "backend": "auto"})
        stand_in = functools.partial(
            open_serving, self.settings.model_copy(update={"model": plain})
        )
        configured = self.settings.model.bundle
        return self._thread.submit(
            first_serving, open_, configured, self.store, health, stand_in
        ).result()

    def begin(self, folder: Path) -> "Future[Serving]":
        """Start to open a bundle, as the configuration has it now."""
        return self._thread.submit(open_serving, self.settings, folder)

    def with_settings(self, settings: Settings) -> Serving:
        """
        Open the model that other settings name.

        Raises:
            ModelError: it is not usable.
            Unavailable: no worker came up.
        """
        return self._thread.submit(open_serving, settings).result()

    def proved(self, folder: Path) -> Serving:
        """
        Open a bundle that is to serve.

        Raises:
            ConfigError: the configuration itself names the model that serves.
            ModelError: it is not usable.
            Unavailable: no worker came up.
        """
        if self.settings.model.bundle:
            msg = (
                "model.bundle: the configuration names the model that "
                "serves: remove the key and restart first"
            )
            raise ConfigError(msg)
        return self.begin(folder).result()

    def second(self, folder: Path) -> Serving:
        """
        Open a bundle in a single worker beside those that serve, which have the accelerator.

        Raises:
            ModelError: it is not usable.
            Unavailable: no worker came up.
        """
        return self._beside(folder).result()

    def drawing(self, folder: Path) -> "Future[Serving]":
        """Start to open a bundle in a single worker that draws, beside those that serve."""
        return self._beside(folder, draws=True)

    def _beside(self, folder: Path, *, draws: bool = False) -> "Future[Serving]":
        worker, model = self.settings.worker, self.settings.model
        backend = "cpu" if model.backend in {"auto", "edgetpu"} else model.backend
        changed = {
            "worker": worker.model_copy(update={"count": 1}),
            "model": model.model_copy(update={"backend": backend}),
        }
        one = self.settings.model_copy(update=changed)
        return self._thread.submit(open_serving, one, folder, expendable=True, draws=draws)

    def try_out(self, folder: Path) -> None:
        """Prove a bundle that is to be installed; raises as `second`."""
        self.second(folder).workers.close()

    def access(self, bundle: Bundle) -> Access | None:
        """Tell how workers with a bundle would get at an accelerator; see `access_of`."""
        return access_of(self.settings, bundle)

    def retry_s(self) -> float:
        """Seconds after which a lost accelerator is tried again."""
        return self.settings.model.edgetpu_retry_s
