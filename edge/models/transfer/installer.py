"""`command/model/install`: install a bundle from an allowed folder, or from the broker."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.config.settings import Model
from edge.errors import ConfigError
from edge.models.bundle import Bundle
from edge.models.store import ModelStore
from edge.models.transfer.announcement import make_announcement
from edge.models.transfer.download import Get, fetched, read_wanted, tidy


class Installer:
    """
    Installs bundles for a running daemon; none of them serves by that.

    Args:
        store: the installed models.
        settings: the folder that bundles may come from, and the largest size.
        prove: loads a bundle in a worker and has it give its known answers, or raises ModelError.
        get: asks the broker for the payload retained on `model/available` or below.
    """

    def __init__(
        self, store: ModelStore, settings: Model, prove: Callable[[Path], object], get: Get
    ) -> None:
        self._store = store
        self._settings = settings
        self._prove = prove
        self._get = get
        self._one_at_a_time = threading.Lock()

    def install(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Install the bundle that a request names.

        Args:
            request: `folder`, below `[model] install_from`, or `bundle`, a version or id that
                `model/available` announces.

        Raises:
            ModelError: the bundle is damaged, not signed, or does not prove itself.
            Unavailable: the bundle does not come, or the disk is full.
            ConfigError: the request names neither, or a folder it may not.
        """
        folder, wanted = request.get("folder"), request.get("bundle")
        with self._one_at_a_time:
            if isinstance(folder, str) and wanted is None:
                bundle = self._store.install(self._allowed(folder), self._prove)
            elif isinstance(wanted, str) and folder is None:
                bundle = self._from_broker(wanted)
            else:
                msg = (
                    'expected {"folder": a name in [model] install_from} or {"bundle": '
                    "a version or id that model/available announces}"
                )
                raise ConfigError(msg)
        return {
            "bundle": bundle.bundle_id,
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
        }

    def _allowed(self, name: str) -> Path:
        root = self._settings.install_from
        if root is None:
            msg = "[model] install_from is not set: bundles are installed from no folder"
            raise ConfigError(msg)
        try:
            folder = (root / name).resolve()
            inside = folder.is_relative_to(root.resolve()) and folder != root.resolve()
        except (OSError, ValueError, RuntimeError):  # a NUL in it, or links in a circle
            inside = False
        if not inside:
            msg = f"folder: {name!r} is not in {root}"
            raise ConfigError(msg)
        return folder

    def _from_broker(self, wanted: str) -> Bundle:
        announced = read_wanted(self._get, wanted, self._settings.max_fetch_mb * 2**20)
        known = self._store.installed(announced.bundle)
        # a bundle that is known, and hashes otherwise, was signed anew
        if known is not None and make_announcement(known.folder).sha256 == announced.sha256:
            tidy(self._store.root)
            return known
        with fetched(announced, self._get, self._store.root) as folder:
            return self._store.install(folder, self._prove)
