"""A model bundle: a folder with `bundle.json` and the files that it names, all hashed."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.domain import Decision, Domain, InputSpec
from edge.errors import ModelError
from edge.models.manifest import MANIFEST, Manifest, read_manifest
from edge.system.files import open_regular, read_regular


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files are all there and hash to what the manifest says."""

    folder: Path
    manifest: Manifest
    bundle_id: str
    """SHA-256 of bundle.json, in hex."""

    @property
    def preprocess_id(self) -> str:
        """The id of the way in which pixels become input: same id, same tensor."""
        return _preprocess_id(self.manifest.preprocess_version, self.manifest.input)

    def decision(
        self, file: str, operating_point: str | None = None, domain: Domain | None = None
    ) -> Decision:
        """
        Return the threshold and band of one operating point of one model file.

        Args:
            file: the model file.
            operating_point: a name; None for the bundle's default.
            domain: the kind of image; None, or one without its own points, has the file's.

        Raises:
            ModelError: the bundle has no such operating point.
        """
        name = operating_point or self.manifest.default_operating_point
        model = self.manifest.model_of(file)
        own = None if domain is None else model.by_domain.get(domain)
        points = (own or model).operating_points
        if name not in points:
            msg = f"operating point is {name!r}, the bundle has {', '.join(sorted(points))}"
            raise ModelError(msg)
        point = points[name]
        return Decision(name, point.threshold, point.band_low, point.band_high)


@functools.cache  # each result names it
def _preprocess_id(version: int, spec: InputSpec) -> str:
    text = json.dumps([version, asdict(spec)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """
    Return the SHA-256 of a file's bytes, in hex.

    Raises:
        OSError: the file cannot be read, or is no regular file: a FIFO would be waited at.
    """
    with open_regular(path, follow=True) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path) -> Bundle:
    """
    Read a bundle and hash every file of it.

    Raises:
        ModelError: a file is missing, or its hash is not the manifest's.
    """
    try:
        data = read_regular(folder / MANIFEST)
    except OSError as error:
        msg = f"{folder}: not a model bundle: {MANIFEST}: {error.strerror}"
        raise ModelError(msg) from None
    manifest = read_manifest(data)
    _check_files(folder, manifest.files)
    return Bundle(folder, manifest, hashlib.sha256(data).hexdigest())


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        path = folder / name
        try:
            inside = ".." not in Path(name).parts and path.resolve().is_relative_to(
                folder.resolve()
            )
        except (OSError, ValueError, RuntimeError):  # a NUL in it, or links in a circle
            inside = False
        if not inside:
            msg = f"{MANIFEST}: files: {name!r} leaves the bundle's folder"
            raise ModelError(msg)
        try:
            digest = sha256_of(path)
        except OSError as error:
            msg = f"{path}: {error.strerror}"
            raise ModelError(msg) from None
        if digest != expected:
            msg = f"{path}: sha256 is {digest}, {MANIFEST} says {expected}"
            raise ModelError(msg)
