"""
`command/model/install`: a bundle from an allowed folder of this device, or from the broker. It is
installed, nothing else.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.config.settings import Model
from edge.errors import ConfigError
from edge.models.bundle import Bundle
from edge.models.store import ModelStore
from edge.models.transfer.announcement import make_offer
from edge.models.transfer.download import Get, fetched, read_wanted, tidy


class Installer:
    """
    Installs for a running daemon.

    Args:
        store: the installed models.
        settings: where bundles may come from, and how large they may be.
        prove: loads a bundle in a worker and has it give its known answers, or raises ModelError.
        get: asks the broker for what is retained on `model/available` and below.
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
        Install what a request names: `folder`, below `[model] install_from`, or `bundle`, which
        `model/available` announces.

        Raises:
            ModelError: it is damaged, not signed, or does not prove itself. Unavailable: it does
                not come, or the disk is full.
            ConfigError: the request names neither, or what it may not.
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
        offer = read_wanted(self._get, wanted, self._settings.max_fetch_mb * 2**20)
        known = self._store.installed(offer.bundle)
        if (
            known is not None and make_offer(known.folder).sha256 == offer.sha256
        ):  # else it is signed anew
            tidy(self._store.root)
            return known
        with fetched(offer, self._get, self._store.root) as folder:
            return self._store.install(folder, self._prove)
