"""The things that the readers of digital data sets have in common."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from edge.domain import Box
from train.data.index import Film, Label
from train.errors import DataError
from train.progress import say

LATERALITY: Final[Mapping[str, str]] = {"L": "LEFT", "R": "RIGHT"}
MALIGNANT_FROM: Final = 4
"""The lowest BI-RADS category that is taken for malignant where there is no pathology."""


def by_birads(category: int) -> Label:
    """Say what a BI-RADS category counts as, 1 to 6."""
    return "malignant" if category >= MALIGNANT_FROM else "benign"


def density(text: str | None) -> int | None:
    """Read a density, A to D or 1 to 4, whatever stands before it; None for anything else."""
    found = re.search(r"\b([A-D]|[1-4])(\.0)?$", (text or "").strip())
    return ("ABCD".find(found[1]) + 1 or int(found[1])) if found else None


def kinds(found: Iterable[str]) -> str | None:
    """Join kinds of lesions as CBIS-DDSM's reader does, `calc|mass`; None without any."""
    return "|".join(sorted({kind.replace("calcification", "calc") for kind in found})) or None


def box(corners: Sequence[float | None], height: float | None, width: float | None) -> Box | None:
    """
    Make a box of xmin, ymin, xmax, ymax, cut off at the edges of a film.

    None if a corner is unknown, or if nothing of the box lies on the film.
    """
    known = [corner for corner in corners if corner is not None]
    if len(known) < len(corners):
        return None
    xmin, ymin = (max(0.0, corner) for corner in known[:2])
    xmax = min(known[2], width or known[2])
    ymax = min(known[3], height or known[3])
    return Box(xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None


def near(folder: Path, *names: str) -> Path | None:
    """Find a file by one of its names in a folder or in those directly below."""
    below = sorted(path for path in folder.iterdir() if path.is_dir())
    places = (place / name for place in (folder, *below) for name in names)
    return next((place for place in places if place.is_file()), None)


def there(folder: Path, films: Sequence[Film]) -> tuple[Film, ...]:
    """
    Keep the films whose files are there; large archives are seldom downloaded whole.

    Raises:
        DataError: none is.
    """
    kept = tuple(film for film in films if film.path.is_file())
    if not kept:
        example = films[0].name if films else "any film with a label"
        msg = f"{folder}: none of {len(films)} films is there, expected {example} and its like"
        raise DataError(msg)
    say_left_out(folder, "have no file", len(films) - len(kept))
    return kept


def say_left_out(folder: Path, why: str, count: int) -> None:
    """Say how many films are left out, if any."""
    if count:
        say(f"{folder}: {count} films {why}: they are left out")
