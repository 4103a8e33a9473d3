"""
Installed models: `<state>/models/<bundle id>/`, side by side, and the choice of one that serves.

A bundle is copied into a folder whose name begins with a dot, looked at there, and only then
renamed; `active.json` is replaced whole. So a power cut at any moment leaves a proved bundle to
serve.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge.errors import ConfigError, MammoEdgeError, ModelError, StartupError, Unavailable
from edge.models import active as choice
from edge.models.active import SHIPPED, Active
from edge.models.bundle import Bundle, verify
from edge.models.signature import check_signature
from edge.models.staging import discard, locked, put_in_place, renew_signature, staged

SHORTEST: Final = 4
"""The least digits of an id that may be typed."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The signers whose bundles are taken."""

    keys: Path
    """Folder of public keys."""
    allow_unsigned: bool

    def check_signature(self, folder: Path) -> None:
        """
        Let a bundle pass that is signed by one of the keys, or unsigned if that is allowed.

        Raises:
            ModelError: the bundle is unsigned, or its signature is wrong.
            ConfigError: a key cannot be read.
        """
        check_signature(folder, self.keys, allow_unsigned=self.allow_unsigned)


class ModelStore:
    """
    The bundles of one device.

    Args:
        root: `<state>/models`.
        shipped: the folder of the bundle that comes with the package.
        trust: the signers whose bundles may be installed and activated.
    """

    def __init__(self, root: Path, shipped: Path, trust: Trust) -> None:
        self.root = root
        self.trust = trust
        self._shipped = shipped
        self._choosing = threading.Lock()

    def active(self) -> Active:
        """
        Return the choice of the bundle that serves.

        Raises:
            ModelError: it cannot be read.
        """
        return choice.read(self.root)

    def folder(self, bundle_id: str) -> Path:
        """Return the folder of a bundle, even if the bundle is not installed."""
        return self._shipped if bundle_id == SHIPPED else self.root / bundle_id

    def current(self) -> Path:
        """
        Return the folder of the bundle that serves, after a look at its signature.

        Raises:
            ModelError: the choice cannot be read, or the bundle is not trusted.
            ConfigError: a key cannot be read.
        """
        return self.trusted(self.active().current)

    def trusted(self, bundle_id: str) -> Path:
        """
        Return the folder of an installed bundle whose signature is (still) one of ours.

        Raises:
            ModelError: it is not.
            ConfigError: a key cannot be read.
        """
        folder = self.folder(bundle_id)
        if bundle_id != SHIPPED:
            self.trust.check_signature(folder)
        return folder

    def installed(self, bundle_id: str) -> Bundle | None:
        """Return a bundle that is there, whole and trusted, or None."""
        try:
            return verify(self.trusted(bundle_id))
        except StartupError:
            return None

    def bundles(self) -> dict[str, Bundle | MammoEdgeError]:
        """Return every installed bundle by its id, the shipped one first, or why it is damaged."""
        found: dict[str, Bundle | MammoEdgeError] = {}
        for name in (SHIPPED, *self._installed()):
            try:
                found[name] = verify(self.folder(name))
            except MammoEdgeError as error:
                found[name] = error
        return found

    def find(self, typed: str) -> str:
        """
        Return the id of the bundle that a person means.

        Args:
            typed: `shipped`, an id or its beginning, or a version.

        Raises:
            ConfigError: none of the installed bundles is meant, or several are.
        """
        if typed == SHIPPED:
            return SHIPPED
        names = self._installed()
        found = [name for name in names if len(typed) >= SHORTEST and name.startswith(typed)]
        found = found or [
            name
            for name, bundle in self.bundles().items()
            if isinstance(bundle, Bundle) and bundle.manifest.version == typed
        ]
        if len(found) != 1:
            known = ", ".join([SHIPPED, *(name[:16] for name in names)])
            msg = (
                f"{typed}: {len(found) or 'none'} of the installed bundles, expected one of {known}"
            )
            raise ConfigError(msg)
        return found[0]

    def install(self, source: Path, prove: Callable[[Path], object]) -> Bundle:
        """
        Copy a bundle in, and prove it before it counts.

        A bundle that is there already, whole, takes over the signature and is left as it is.

        Args:
            source: the bundle's folder.
            prove: loads the bundle and gives its known answers, or raises ModelError.

        Raises:
            ModelError: hash, signature, shape or a known answer is wrong; nothing was installed.
            Unavailable: the disk does not take it, or another installation is going on.
        """
        bundle = verify(source)
        self.trust.check_signature(source)
        target = self.folder(bundle.bundle_id)
        if _is_whole(target):
            renew_signature(source, target)
            return verify(target)
        with staged(self.root, bundle) as copied:
            # from here on the copy alone counts: the source may have been changed meanwhile
            fresh = verify(copied)
            self.trust.check_signature(copied)
            prove(copied)
            target = self.folder(fresh.bundle_id)
            put_in_place(copied, target)
        return verify(target)

    def activate(self, bundle_id: str, *, trial: bool = False) -> Active:
        """
        Have a bundle serve from the next start on; a running daemon has taken it already.

        Raises:
            ModelError: the former choice cannot be read.
            Unavailable: the disk does not take the new one.
        """
        with self._choosing:
            before = self.active()
            if before.current == bundle_id:
                return choice.put(self.root, replace(before, trial=trial))
            return choice.put(self.root, Active(bundle_id, before.current, trial))

    def take_back(self) -> Active:
        """
        Go back to the former bundle, and never again to the one that proved bad.

        Raises:
            ConfigError: there is no way back.
            ModelError: the choice cannot be read.
            Unavailable: the disk does not take the new one.
        """
        with self._choosing:
            return choice.put(self.root, Active(self.rollback_target()))

    def end_trial(self, folder: Path) -> None:
        """
        Note that the bundle in this folder has proved itself in use.

        Nothing is noted if another one serves by now.

        Raises:
            ModelError: the choice cannot be read.
            Unavailable: the disk does not take the new one.
        """
        with self._choosing:
            active = self.active()
            if self.folder(active.current) == folder:
                choice.put(self.root, replace(active, trial=False))

    def rollback_target(self) -> str:
        """
        Return the id of the bundle that `rollback` goes back to.

        Raises:
            ConfigError: there is none.
        """
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
        """
        Remove a bundle that neither serves nor served last.

        Raises:
            ConfigError: the bundle serves or served last.
            Unavailable: the disk fails, or an installation is going on.
        """
        active = self.active()
        if bundle_id in {SHIPPED, active.current, active.previous}:
            msg = f"{bundle_id[:16]}: it serves, or is what rollback goes back to"
            raise ConfigError(msg)
        with locked(self.root):
            discard(self.folder(bundle_id))

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
