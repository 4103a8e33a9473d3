"""
Write a model bundle so that a reader finds all of it or none.

The files come first, each on disk, and the manifest last.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edge.errors import ModelError
from edge.inference.examiner import Examiner
from edge.inference.image import Limits
from edge.models.bundle import Bundle, verify
from edge.models.manifest import MANIFEST, Manifest, read_manifest
from edge.system.files import write as write_whole


def write(folder: Path, files: Mapping[str, bytes], manifest: Manifest) -> Bundle:
    """
    Write the files, then the manifest; read it all back and give the known answers.

    An older bundle in the folder loses its manifest first, so that it is never mixed with this one.
    So does this one if the daemon would not run it.

    Raises:
        ModelError: the written bundle does not verify, or a known answer does not come out.
    """
    _remove_old(folder)
    text = manifest.model_dump_json(by_alias=True, indent=1).encode() + b"\n"
    for name, data in {**files, MANIFEST: text}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, data)
    try:
        bundle = verify(folder)
        _prove(bundle)
    except ModelError:
        (folder / MANIFEST).unlink()
        raise
    return bundle


def _prove(bundle: Bundle) -> None:
    """Prove every model file, since the daemon may be told to run any of them."""
    for name in bundle.manifest.models:
        with_it = replace(
            bundle, manifest=bundle.manifest.model_copy(update={"default_model": name})
        )
        Examiner(with_it, "litert", 1, None, Limits()).prove()


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Hash each file with SHA-256, in hex."""
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
        # A manifest that says `../..` names files of others.
        if (folder / name).resolve().is_relative_to(folder.resolve()):
            (folder / name).unlink(missing_ok=True)
