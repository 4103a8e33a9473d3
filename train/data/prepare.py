"""
Decode and prepare every film once, in parallel, into a cache that a later run continues.

The cache is one folder a preprocessing and index: `images.npy` (n, height, width) float16 from 0 to
1, `facts.npy` (n, 2) breast fraction and contrast, `geometry.npy` (n, 11) float64 how each film
became its image, `digest.npy` (n, 16) a hash of its pixels, `state.npy` (n,) as `State`,
`refused.json` with the reasons.
"""

import hashlib
import json
import time
from dataclasses import asdict, astuple, dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import Box, InputSpec
from edge.errors import ImageRejected, Reason, Unavailable
from edge.inference.geometry import Geometry
from edge.models.manifest import PREPROCESS_VERSION
from train.data.films import Prepared, prepare_film
from train.data.index import Film, Index
from train.data.parallel import Engine, on_this_machine
from train.data.sampling import sample
from train.errors import DataError
from train.progress import bar, say, warn
from train.run_folder import write_json

CACHE_VERSION: Final = 3
"""The version of the files described above; another one gives another cache folder."""
MAX_REFUSED: Final = 0.05
"""The share of refused images above which the data set is not what it was taken for."""
DIGEST: Final = 16
"""Bytes of the hash of a film's pixels."""


class State(IntEnum):
    """The state of one film in the cache."""

    TO_DO = 0
    DONE = 1
    REFUSED = 2


def prepared(index: Index, spec: InputSpec, cache: Path, engine: Engine | None = None) -> Prepared:
    """
    Prepare what is not prepared yet, and read the rest from the cache.

    Args:
        index: the films.
        spec: the model's input; another one gives another cache folder.
        cache: holds one folder a preprocessing and index.
        engine: does the work; all cores of this machine unless told otherwise.

    Raises:
        DataError: more than 5 % of the films are refused, one cannot be read at all, or two
            patients have the same film.
    """
    folder = cache / cache_key(index, spec)
    folder.mkdir(parents=True, exist_ok=True)
    store = _Cache.open(folder, len(index.films), spec)
    store.fill(index.films, spec, engine or on_this_machine)
    return store.result(index)


def cache_key(index: Index, spec: InputSpec) -> str:
    """
    Name one preprocessing of one set of files.

    The key changes with either, as far as sizes and samples of the files tell.
    """
    sizes, samples = [film.path.stat().st_size for film in index.films], hashlib.sha256()
    for film in index.films:
        samples.update(sample(film.path))
    text = json.dumps(
        [
            CACHE_VERSION,
            PREPROCESS_VERSION,
            asdict(spec),
            index.fingerprint,
            sizes,
            samples.hexdigest(),
        ],
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Cache:
    """The arrays on disk; a film counts as done only after its pixels are written."""

    folder: Path
    images: NDArray[np.float16]
    facts: NDArray[np.float32]
    geometry: NDArray[np.float64]
    digest: NDArray[np.uint8]
    state: NDArray[np.uint8]
    refused: dict[str, str]

    @classmethod
    def open(cls, folder: Path, films: int, spec: InputSpec) -> "_Cache":
        """Open the arrays, or make them."""
        reasons = folder / "refused.json"
        return cls(
            folder,
            _array(folder / "images.npy", (films, spec.height, spec.width), np.float16),
            _array(folder / "facts.npy", (films, 2), np.float32),
            _array(folder / "geometry.npy", (films, 11), np.float64),
            _array(folder / "digest.npy", (films, DIGEST), np.uint8),
            _array(folder / "state.npy", (films,), np.uint8),
            json.loads(reasons.read_text()) if reasons.exists() else {},
        )

    def fill(self, films: tuple[Film, ...], spec: InputSpec, engine: Engine) -> None:
        """Prepare every film that is still to do."""
        todo = [number for number in range(len(films)) if self.state[number] == State.TO_DO]
        if not todo:
            say(f"all {len(films)} images are prepared ({self.folder})")
            return
        start = time.monotonic()
        jobs = [
            (replace(films[number], path=films[number].path.resolve()), spec) for number in todo
        ]
        outcomes = engine(_prepare_or_say_why, jobs)
        for position, outcome in bar(outcomes, "prepare", len(films), done=len(films) - len(todo)):
            self._keep(films[todo[position]], todo[position], outcome)
        seconds = time.monotonic() - start
        say(f"prepared {len(todo)} images in {seconds:.0f} s: {len(todo) / seconds:.1f} images/s")

    def _keep(self, film: Film, number: int, outcome: "_PreparedFilm | str") -> None:
        if isinstance(outcome, str):
            self.refused[film.name] = outcome
            write_json(self.folder / "refused.json", self.refused)
        else:
            self.images[number] = outcome.image
            self.facts[number] = outcome.facts
            self.geometry[number] = outcome.geometry
            self.digest[number] = outcome.digest
        self.state[number] = State.REFUSED if isinstance(outcome, str) else State.DONE

    def result(self, index: Index) -> Prepared:
        """Give what was prepared."""
        if self.refused:
            reasons = "; ".join(
                f"{name}: {reason}" for name, reason in sorted(self.refused.items())[:3]
            )
            text = (
                f"{len(self.refused)} of {len(index.films)} images of "
                f"{index.source} are refused and left out ({reasons})"
            )
            if len(self.refused) > MAX_REFUSED * len(index.films):
                raise DataError(text)
            warn(text)
        keep = np.asarray(self.state) == State.DONE
        films = tuple(film for film, kept in zip(index.films, keep, strict=True) if kept)
        _refuse_copies(index.source, films, np.asarray(self.digest)[keep])
        facts = np.asarray(self.facts)[keep]
        geometry = tuple(map(_geometry, np.asarray(self.geometry)[keep]))
        # The array stays on the disk: a copy may be larger than the memory.
        images = np.asarray(self.images)
        images.flags.writeable = False
        return Prepared(
            films,
            images if keep.all() else images[keep],
            facts[:, 0],
            facts[:, 1],
            dict(self.refused),
            geometry,
        )


def _digest(image: NDArray[np.float16]) -> NDArray[np.uint8]:
    """
    Hash the pixels; the hash of an image without any contrast is 0, since those are all alike.
    """
    if image.min() == image.max():
        return np.zeros(DIGEST, np.uint8)
    return np.frombuffer(hashlib.blake2b(image.tobytes(), digest_size=DIGEST).digest(), np.uint8)


def _refuse_copies(source: str, films: tuple[Film, ...], digests: NDArray[np.uint8]) -> None:
    """Refuse films of the same pixels: DICOM files of one film differ in identifiers and bytes."""
    seen: dict[bytes, Film] = {}
    for film, digest in zip(films, digests, strict=True):
        first = seen.setdefault(digest.tobytes(), film)
        if digest.any() and first.patient != film.patient:
            msg = (
                f"{source}: {first.name} and {film.name} show the same pixels "
                f"but belong to patients {first.patient} and"
                f" {film.patient}; a film on both sides of the split makes scores "
                "too good; take one of them out of the index"
            )
            raise DataError(msg)


def _flat(geometry: Geometry) -> tuple[float, ...]:
    """Write eleven numbers, as a row of `geometry.npy` has them."""
    place = geometry.top, geometry.left, geometry.height, geometry.width
    return (geometry.rows, geometry.columns, geometry.flipped, *astuple(geometry.box), *place)


def _geometry(row: NDArray[np.float64]) -> Geometry:
    """Read a row that `_flat` wrote."""
    rows, columns, flipped, *box = row[:7].tolist()
    return Geometry(
        int(rows), int(columns), bool(flipped), Box(*box), *row[7:].astype(int).tolist()
    )


def _array(path: Path, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:  # noqa: ANN401
    if path.exists():
        return np.lib.format.open_memmap(path, mode="r+")
    part = path.with_suffix(".part")
    np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape).flush()
    part.replace(path)
    return np.lib.format.open_memmap(path, mode="r+")


@dataclass(frozen=True, slots=True)
class _PreparedFilm:
    """The result of one film; small, since it goes from process to process."""

    image: NDArray[np.float16]
    facts: tuple[float, float]
    geometry: tuple[float, ...]
    digest: NDArray[np.uint8]


def _prepare_or_say_why(film: Film, spec: InputSpec) -> _PreparedFilm | str:
    try:
        batch = prepare_film(film, spec)
    except ImageRejected as error:
        return str(error)
    except Unavailable as error:
        msg = f"{film.path}: {error}"
        raise DataError(msg) from None
    if batch.fault is not None:
        return str(ImageRejected(Reason.NOT_ONE_WHOLE_BREAST, batch.fault))
    image = ((batch.tensor[0, :, :, 0] - spec.low) / (spec.high - spec.low)).astype(np.float16)
    return _PreparedFilm(
        image, (batch.breast_fraction, batch.contrast), _flat(batch.geometry), _digest(image)
    )
