"""
Installed models: `<state>/models/<bundle id>/`, side by side, and `active.json`, which says which
of them serves.

A bundle is copied into a folder whose name begins with a dot, looked at there, and only then
renamed; `active.json` is replaced whole. So whatever moment the power fails, what serves is a
bundle that was proved.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edge.errors import ConfigError, MammoEdgeError, ModelError, StartupError, Unavailable
from edge.models import active as choice
from edge.models.active import SHIPPED, Active
from edge.models.bundle import Bundle, verify
from edge.models.signature import demand, signer
from edge.models.staging import alone, discard, put_in_place, sign_anew, staged

SHORTEST: Final = 4
"""So many digits of an id must be typed."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose bundles are taken."""

    keys: Path
    """Folder of public keys."""
    allow_unsigned: bool


class ModelStore:
    """
    The bundles of one device.

    Args:
        root: `<state>/models`.
        shipped: the folder of the bundle that comes with the package.
        trust: whose bundles may be installed and activated.
    """

    def __init__(self, root: Path, shipped: Path, trust: Trust) -> None:
        self.root = root
        self._shipped = shipped
        self._trust = trust
        self._choosing = threading.Lock()

    def active(self) -> Active:
        """What serves. Raises ModelError where that cannot be read."""
        return choice.read(self.root)

    def folder(self, bundle_id: str) -> Path:
        """Where a bundle is, whether it is there or not."""
        return self._shipped if bundle_id == SHIPPED else self.root / bundle_id

    def current(self) -> Path:
        """The folder of what serves, its signature looked at. Raises ModelError."""
        return self.trusted(self.active().current)

    def trusted(self, bundle_id: str) -> Path:
        """
        The folder of an installed bundle whose signature is (still) one of ours. Raises ModelError,
        ConfigError.
        """
        folder = self.folder(bundle_id)
        if bundle_id != SHIPPED:
            self._demand(folder)
        return folder

    def installed(self, bundle_id: str) -> Bundle | None:
        """A bundle that is there, whole and trusted, else None."""
        try:
            return verify(self.trusted(bundle_id))
        except StartupError:
            return None

    def bundles(self) -> dict[str, Bundle | MammoEdgeError]:
        """
        Every installed bundle by its id, the shipped one first; in place of one that is damaged,
        why.
        """
        found: dict[str, Bundle | MammoEdgeError] = {}
        for name in (SHIPPED, *self._installed()):
            try:
                found[name] = verify(self.folder(name))
            except MammoEdgeError as error:
                found[name] = error
        return found

    def listing(self) -> list[dict[str, Any]]:
        """
        Every installed bundle: id, name, version, who signed it, and whether it serves `now` or
        served `before`; or why it cannot.
        """
        active = self.active()
        serves = {active.previous: "before", active.current: "now"}
        return [
            self._row(name, bundle) | {"serves": serves.get(name)}
            for name, bundle in self.bundles().items()
        ]

    def find(self, typed: str) -> str:
        """
        A bundle's id from what a person typed: `shipped`, an id or its beginning, or a version.

        Raises:
            ConfigError: it names none of the installed bundles, or several.
        """
        if typed == SHIPPED:
            return SHIPPED
        names = self._installed()
        found = [
            name for name in names if len(typed) >= SHORTEST and name.startswith(typed)
        ] or self._of_version(typed)
        if len(found) != 1:
            known = ", ".join([SHIPPED, *(name[:16] for name in names)])
            msg = (
                f"{typed}: {len(found) or 'none'} of the installed bundles, expected one of {known}"
            )
            raise ConfigError(msg)
        return found[0]

    def install(self, source: Path, prove: Callable[[Path], object]) -> Bundle:
        """
        Copy a bundle in, and prove it before it counts. One that is there already, whole, takes
        over the signature and is left as it is.

        Args:
            source: the bundle's folder.
            prove: loads it and gives its known answers, or raises ModelError.

        Raises:
            ModelError: hash, signature, shape or a known answer is wrong; nothing was installed.
            Unavailable: the disk does not take it, or another installation is going on.
        """
        bundle = verify(source)
        self._demand(source)
        target = self.folder(bundle.bundle_id)
        if _is_whole(target):
            sign_anew(source, target)
            return verify(target)
        with staged(self.root, bundle) as copied:
            fresh = verify(
                copied
            )  # from here on the copy alone counts: who may write to the source may have changed it
            self._demand(copied)
            prove(copied)
            target = self.folder(fresh.bundle_id)
            put_in_place(copied, target)
        return verify(target)

    def activate(self, bundle_id: str, *, trial: bool = False) -> Active:
        """
        Have a bundle serve from the next start on; a running daemon has taken it already. Raises
        ModelError, Unavailable.
        """
        with self._choosing:
            before = self.active()
            if before.current == bundle_id:
                return choice.put(self.root, replace(before, trial=trial))
            return choice.put(self.root, Active(bundle_id, before.current, trial))

    def take_back(self) -> Active:
        """
        Go back, and never again to what proved bad. Raises ConfigError where there is no way back,
        ModelError, Unavailable.
        """
        with self._choosing:
            return choice.put(self.root, Active(self.rollback_target()))

    def end_trial(self, folder: Path) -> None:
        """
        The bundle in this folder has proved itself in use; nothing, where another one serves by
        now. Raises ModelError, Unavailable.
        """
        with self._choosing:
            active = self.active()
            if self.folder(active.current) == folder:
                choice.put(self.root, replace(active, trial=False))

    def rollback_target(self) -> str:
        """What `rollback` goes back to. Raises ConfigError where there is nothing."""
        previous = self.active().previous
        if previous is None or not self.folder(previous).is_dir():
            msg = (
                "no model served before this one"
                if previous is None
                else f"{previous}: no longer installed"
            )
            raise ConfigError(msg)
        return previous

    def remove(self, bundle_id: str) -> None:
        """Forget a bundle that neither serves nor served last. Raises ConfigError, Unavailable."""
        active = self.active()
        if bundle_id in {SHIPPED, active.current, active.previous}:
            msg = f"{bundle_id[:16]}: it serves, or is what rollback goes back to"
            raise ConfigError(msg)
        with alone(self.root):
            discard(self.folder(bundle_id))

    def _demand(self, folder: Path) -> None:
        demand(folder, self._trust.keys, allow_unsigned=self._trust.allow_unsigned)

    def _of_version(self, version: str) -> list[str]:
        return [
            name
            for name, bundle in self.bundles().items()
            if isinstance(bundle, Bundle) and bundle.manifest.version == version
        ]

    def _row(self, name: str, bundle: Bundle | MammoEdgeError) -> dict[str, Any]:
        if not isinstance(bundle, Bundle):
            return {"bundle": name, "name": str(bundle), "version": None, "signed_by": None}
        try:
            by = "the package" if name == SHIPPED else signer(bundle.folder, self._trust.keys)
        except StartupError as error:
            by = str(error)
        shown = SHIPPED if name == SHIPPED else bundle.bundle_id
        return {
            "bundle": shown,
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
            "signed_by": by,
        }

    def _installed(self) -> list[str]:
        try:
            return sorted(
                path.name
                for path in self.root.iterdir()
                if path.is_dir() and not path.name.startswith(".")
            )
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            msg = f"{self.root}: {error.strerror}"
            raise Unavailable(msg) from None


def _is_whole(folder: Path) -> bool:
    try:
        verify(folder)
    except ModelError:
        return False
    return True
