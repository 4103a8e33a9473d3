"""
Installed models: `<state>/models/<bundle id>/`, side by side, and `active.json`, which says which of them serves.

A bundle is copied into a folder whose name begins with a dot, looked at there, and only then renamed; `active.json` is replaced whole.
So whatever moment the power fails, what serves is a bundle that was proved.
"""

import json
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.bundle import MANIFEST, Bundle, verify
from edge.errors import ConfigError, MammoEdgeError, ModelError, Unavailable
from edge.files import sync_folder, write
from edge.signature import SIGNATURE, demand

ACTIVE: Final = "active.json"
SHIPPED: Final = "shipped"
"""Stands for the bundle that comes with the package."""
SHORTEST: Final = 4
"""So many digits of an id must be typed."""


@dataclass(frozen=True, slots=True)
class Active:
    """What serves and what served before: bundle ids, or `shipped`."""

    current: str = SHIPPED
    previous: str | None = None


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
        self._root = root
        self._shipped = shipped
        self._trust = trust

    def active(self) -> Active:
        """
        What serves.

        Raises:
            ModelError: `active.json` cannot be read.
        """
        file = self._root / ACTIVE
        try:
            fields = json.loads(file.read_bytes())
            return Active(str(fields["current"]), fields["previous"])
        except (FileNotFoundError, NotADirectoryError):
            return Active()
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{file}: {getattr(error, 'strerror', None) or 'not what activate wrote'}: remove it to serve the shipped model"
            raise ModelError(msg) from None

    def folder(self, bundle_id: str) -> Path:
        """Where a bundle is, whether it is there or not."""
        return self._shipped if bundle_id == SHIPPED else self._root / bundle_id

    def current(self) -> Path:
        """The folder of what serves, its signature looked at. Raises ModelError."""
        return self.trusted(self.active().current)

    def trusted(self, bundle_id: str) -> Path:
        """The folder of an installed bundle whose signature is (still) one of ours. Raises ModelError."""
        folder = self.folder(bundle_id)
        if bundle_id != SHIPPED:
            demand(folder, self._trust.keys, allow_unsigned=self._trust.allow_unsigned)
        return folder

    def bundles(self) -> dict[str, Bundle | MammoEdgeError]:
        """Every installed bundle by its id, the shipped one first; in place of one that is damaged, why."""
        found: dict[str, Bundle | MammoEdgeError] = {}
        for name in (SHIPPED, *self._installed()):
            try:
                found[name] = verify(self.folder(name))
            except MammoEdgeError as error:
                found[name] = error
        return found

    def find(self, typed: str) -> str:
        """
        A bundle's id from what a person typed: `shipped`, an id or its beginning, or a version.

        Raises:
            ConfigError: it names none of the installed bundles, or several.
        """
        if typed == SHIPPED:
            return SHIPPED
        names = self._installed()
        found = [name for name in names if len(typed) >= SHORTEST and name.startswith(typed)] or self._of_version(typed)
        if len(found) != 1:
            known = ", ".join([SHIPPED, *(name[:16] for name in names)])
            msg = f"{typed}: {len(found) or 'none'} of the installed bundles, expected one of {known}"
            raise ConfigError(msg)
        return found[0]

    def _of_version(self, version: str) -> list[str]:
        return [name for name, bundle in self.bundles().items() if isinstance(bundle, Bundle) and bundle.manifest.version == version]

    def install(self, source: Path, prove: Callable[[Path], object]) -> Bundle:
        """
        Copy a bundle in, and prove it before it counts. One that is there already is left as it is.

        Args:
            source: the bundle's folder.
            prove: loads it and gives its known answers, or raises ModelError.

        Raises:
            ModelError: hash, signature, shape or a known answer is wrong; nothing was installed.
            Unavailable: the disk does not take it.
        """
        bundle = verify(source)
        demand(source, self._trust.keys, allow_unsigned=self._trust.allow_unsigned)
        target = self.folder(bundle.bundle_id)
        if target.is_dir():
            return verify(target)
        with self._staged(bundle) as staged:
            verify(staged)
            prove(staged)
            staged.rename(target)
            sync_folder(self._root)
        return verify(target)

    def activate(self, bundle_id: str) -> Active:
        """Have a bundle serve from the next start on; a running daemon has taken it already. Raises ModelError, Unavailable."""
        before = self.active()
        if before.current == bundle_id:
            return before
        return self._put(Active(bundle_id, before.current))

    def rollback_target(self) -> str:
        """What `rollback` goes back to. Raises ConfigError where there is nothing."""
        previous = self.active().previous
        if previous is None or not self.folder(previous).is_dir():
            msg = "no model served before this one" if previous is None else f"{previous}: no longer installed"
            raise ConfigError(msg)
        return previous

    def remove(self, bundle_id: str) -> None:
        """Forget a bundle that neither serves nor served last. Raises ConfigError."""
        active = self.active()
        if bundle_id in {SHIPPED, active.current, active.previous}:
            msg = f"{bundle_id[:16]}: it serves, or is what rollback goes back to"
            raise ConfigError(msg)
        trash = self._root / f".trash-{uuid.uuid4().hex}"
        self.folder(bundle_id).rename(trash)
        shutil.rmtree(trash)

    def _put(self, active: Active) -> Active:
        text = json.dumps({"current": active.current, "previous": active.previous})
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            write(self._root / ACTIVE, text.encode() + b"\n")
            _give_to_owner_of(self._root, self._root / ACTIVE)
        except OSError as error:
            msg = f"{self._root / ACTIVE}: {error.strerror}"
            raise Unavailable(msg) from None
        return active

    def _installed(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if path.is_dir() and not path.name.startswith("."))

    @contextmanager
    def _staged(self, bundle: Bundle) -> Iterator[Path]:
        """A copy of a bundle on our disk, under a name that does not count; what a power cut left of others goes."""
        staged = self._root / f".staged-{uuid.uuid4().hex}"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            for left_over in (*self._root.glob(".staged-*"), *self._root.glob(".trash-*")):
                shutil.rmtree(left_over)
            _copy(bundle, staged)
            for path in (self._root, staged, *staged.rglob("*")):
                _give_to_owner_of(self._root.parent, path)
            yield staged
        except OSError as error:
            msg = f"{self._root}: {error.strerror}"
            raise Unavailable(msg) from None
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _copy(bundle: Bundle, target: Path) -> None:
    """Every file the manifest names and nothing else, on the disk when this returns."""
    names = [MANIFEST, *bundle.manifest.files, *([SIGNATURE] if (bundle.folder / SIGNATURE).exists() else [])]
    folders = {target, *((target / name).parent for name in names)}
    for folder in sorted(folders):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write(target / name, (bundle.folder / name).read_bytes())
    for folder in folders:
        sync_folder(folder)


def _give_to_owner_of(folder: Path, path: Path) -> None:
    """What root installs belongs to the daemon, as the state folder does."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
        path.chmod(0o750 if stat.S_ISDIR(path.stat().st_mode) else 0o640)
