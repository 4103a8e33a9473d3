"""
The lesion boxes of CBIS-DDSM, read from its ROI masks.

Each folder holds a mask and a cropped image, and nothing but size and pixels tells which is which.
Reading 3,568 masks takes minutes, so what was found is kept in the user's cache folder
($XDG_CACHE_HOME or ~/.cache), until one of the files changes.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pydicom
from numpy.typing import NDArray

from edge.domain import Box
from edge.errors import ImageRejected, Unavailable
from edge.inference.image import Limits, open_mammogram
from train.data.parallel import on_this_machine, right_here
from train.progress import bar, warn
from train.run_folder import write_json

Corners: TypeAlias = tuple[float, float, float, float]
"""The corners xmin, ymin, xmax, ymax in pixels of the film."""
FEW: Final = 16
"""Up to so many masks are read in this process: to start others would take longer."""


@dataclass(frozen=True, slots=True)
class MaskedLesion:
    """An abnormality: the folder of its mask, and the film that it lies on."""

    folder: Path
    film: Path

    @property
    def stamp(self) -> str:
        """Give a hash of sizes and times, which changes as soon as a file does."""
        stats = [path.stat() for path in (*dicoms(self.folder), self.film)]
        return hashlib.sha256(
            repr([(stat.st_size, stat.st_mtime_ns) for stat in stats]).encode()
        ).hexdigest()[:16]


def dicoms(folder: Path) -> list[Path]:
    """List the DICOM files of a folder and of those below, by any name."""
    return sorted(folder.rglob("*.dcm"))


def boxes(source: Path, masked: Mapping[str, MaskedLesion]) -> Mapping[str, Box]:
    """
    Find the lesion that each mask shows.

    Args:
        source: the data set's folder, for the name of the cache.
        masked: by any name that stays the same.

    Returns:
        By the same names; a mask that shows nothing has no box, and that is said.
    """
    cache = _cache_file(source)
    known = _read(cache)
    stamps = {name: each.stamp for name, each in masked.items()}
    todo = [name for name in masked if known.get(name, {}).get("stamp") != stamps[name]]
    if todo:
        _find({name: masked[name] for name in todo}, stamps, known, cache)
    found = {name: Box(*known[name]["box"]) for name in masked if known[name]["box"]}
    if len(found) < len(masked):
        example = min(masked.keys() - found.keys())
        warn(
            f"{source}: {len(masked) - len(found)} of {len(masked)} ROI masks show "
            f"no lesion, as that in {example}: no boxes for those"
        )
    return found


def _find(
    todo: Mapping[str, MaskedLesion], stamps: Mapping[str, str], known: dict[str, Any], cache: Path
) -> None:
    """Read these masks into `known`, and write down what is known, even if interrupted."""
    engine = on_this_machine if len(todo) > FEW else right_here
    names = list(todo)
    jobs = [(todo[name].folder, todo[name].film) for name in names]
    try:
        for number, found in bar(engine(corners, jobs), "read the ROI masks", len(todo)):
            known[names[number]] = {"stamp": stamps[names[number]], "box": found}
    finally:
        try:
            write_json(cache, known)
        except OSError as error:
            warn(f"{cache}: {error.strerror}; the ROI masks will be read again the next time")


def corners(folder: Path, film: Path) -> Corners | None:
    """
    Find the bounding box of the lesion in one folder, in pixels of the film.

    None if no file is a mask of anything.
    """
    rows, columns = _size(film)
    sizes = {path: _size(path) for path in dicoms(folder)}
    path = max(
        sizes,
        key=lambda path: (sizes[path] == (rows, columns), sizes[path][0] * sizes[path][1]),
        default=None,
    )
    lesion = None if path is None else _white(path)
    if lesion is None:
        return None
    y, x = np.flatnonzero(lesion.any(axis=1)), np.flatnonzero(lesion.any(axis=0))
    down, across = rows / lesion.shape[0], columns / lesion.shape[1]
    return (
        float(x[0] * across),
        float(y[0] * down),
        float((x[-1] + 1) * across),
        float((y[-1] + 1) * down),
    )


def _size(path: Path) -> tuple[int, int]:
    """Read rows and columns from the header; (0, 0) for a file without one."""
    header = pydicom.dcmread(
        path, stop_before_pixels=True, specific_tags=["Rows", "Columns"], force=True
    )
    return int(header.get("Rows") or 0), int(header.get("Columns") or 0)


def _white(path: Path) -> NDArray[np.bool_] | None:
    """
    Find the bright one of the two values of a mask; None for a picture of more or fewer values.
    """
    try:
        pixels = open_mammogram(path, Limits()).pixels
    except (ImageRejected, Unavailable):
        return None
    white = pixels == pixels.max()
    return white if ((pixels == pixels.min()) | white).all() and not white.all() else None


def _cache_file(source: Path) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (
        folder
        / "mammo-edge"
        / f"cbis-ddsm-{hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:16]}.json"
    )


def _read(cache: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    return found
