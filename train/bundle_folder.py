"""Write a model bundle so that a reader finds all of it or none: files first, each on disk, the manifest last."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from edge.bundle import MANIFEST, Bundle, Manifest, read_manifest, verify
from edge.errors import ModelError


def write(folder: Path, files: Mapping[str, bytes], manifest: Manifest) -> Bundle:
    """
    Write the files and then the manifest, and read it all back as the daemon would.

    An older bundle in the folder loses its manifest first, so that it is never mixed with this one.

    Raises:
        ModelError: what was written does not verify.
    """
    _remove_old(folder)
    for name, data in files.items():
        _write(folder / name, data)
    _write(folder / MANIFEST, manifest.model_dump_json(by_alias=True, indent=1).encode() + b"\n")
    return verify(folder)


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, in hex."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def _remove_old(folder: Path) -> None:
    manifest = folder / MANIFEST
    if not manifest.exists():
        return
    try:
        old = read_manifest(manifest.read_bytes()).files
    except ModelError:
        old = {}
    manifest.unlink()
    for name in old:
        (folder / name).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
