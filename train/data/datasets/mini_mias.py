"""
Mini-MIAS: 322 film mammograms (MLO) of 161 women, 1024 x 1024 pixels, 8 bits, as PGM.

Licence: research only, no redistribution, by agreement with the Mammographic Image Analysis Society
(the licence lies in the archive; citation: Suckling J. et al., Exerpta Medica ICS 1069:375, 1994).
The full-size MIAS database is another archive, under CC BY 2.0 UK.

Layout: `Info.txt` and `mdb001.pgm` ... `mdb322.pgm` beside it or in a folder below. After some
prose, `Info.txt` has lines of

    mdb001 G CIRC B 535 425 197     film, tissue, class of abnormality, severity, x, y, radius
    (pixels)
    mdb003 D NORM                   nothing found
    mdb059 F CIRC B *NOTE 3*        calcifications all over the film: no place is given

Traps:
- Odd and even numbers are the two breasts of one woman (001 right and 002 left are woman 1): files
  split by number leak.
- y counts from the bottom edge. It is turned round here; boxes have their origin top left as
  everywhere.
- A film with several abnormalities has several lines, and is malignant if one of them is M.
- NORM is `benign` here, with `normal` as its abnormality: the classes are malignant or not, and a
  normal film is not. 207 of the 322 films are normal, so scores on this set say mostly how well
  malignant films are told from normal ones.
- The tissue letter (F, G, D: fatty, fatty-glandular, dense) is no BI-RADS density and is left out.
- Every film was scanned on one machine and padded or cut to a square; the pixels are square, so
  nothing is stretched back.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.domain import Box
from train.data.index import Film, Index, Label, Lesion
from train.errors import DataError

EXPECTED: Final = "Mini-MIAS (Info.txt, mdb001.pgm, ...)"
SIZE: Final = 1024
"""Rows and columns of every film."""
KINDS: Final[Mapping[str, str]] = {
    "CALC": "calc",
    "CIRC": "mass",
    "SPIC": "mass",
    "MISC": "mass",
    "ARCH": "distortion",
    "ASYM": "asymmetry",
    "NORM": "normal",
}
"""
Abnormalities by their letters: circumscribed, spiculated and other ill-defined masses are masses.
"""
_LABELS: Final[Mapping[str, Label]] = {"B": "benign", "M": "malignant"}
_NUMBER: Final = re.compile(r"mdb(\d{3})", re.IGNORECASE)
_LINE: Final = re.compile(
    r"mdb(?P<number>\d{3})\s+[A-Z]\s+(?P<kind>[A-Z]{4})(\s+(?P<severity>[BM])(\s+((?P<place>\d+\s+\d+\s+\d+)|\*NOTE.*))?)?"
)


@dataclass(frozen=True, slots=True)
class _Finding:
    """A line of Info.txt."""

    kind: str
    label: Label
    circle: tuple[int, int, int] | None
    """The circle around the finding: x, y from the bottom, radius."""


def recognises(source: Path) -> bool:
    """Tell if there is an Info.txt."""
    return source.is_dir() and _info(source) is not None


def read(folder: Path) -> Index:
    """
    Read Mini-MIAS.

    Raises:
        DataError: a line cannot be understood, a film is missing or of another size, or it stands
            in no line.
    """
    info = _info(folder)
    if info is None:
        msg = f"{folder}: no Info.txt"
        raise DataError(msg)
    findings = _findings(info)
    files = {
        match[1]: path
        for path in sorted(folder.rglob("*.pgm"))
        if (match := _NUMBER.fullmatch(path.stem))
    }
    _refuse_difference(folder, info, findings.keys() - files.keys(), files.keys() - findings.keys())
    return Index(
        str(folder),
        tuple(
            _film(folder, number, files[number], findings[number]) for number in sorted(findings)
        ),
    )


def _info(folder: Path) -> Path | None:
    return next(
        (path for path in sorted(folder.iterdir()) if path.name.lower() == "info.txt"), None
    )


def _findings(info: Path) -> Mapping[str, list[_Finding]]:
    """Read what is known of each film, by its number."""
    found: dict[str, list[_Finding]] = defaultdict(list)
    for number, finding in _lines(info):
        if finding not in found[number]:
            found[number].append(finding)
    return found


def _lines(info: Path) -> Iterator[tuple[str, _Finding]]:
    for position, line in enumerate(
        info.read_text(encoding="utf-8", errors="replace").splitlines(), 1
    ):
        text = line.strip()
        if not re.match(r"mdb\d{3}\s", text):
            continue  # the prose around the table
        match = _LINE.fullmatch(text)
        if (
            match is None
            or match["kind"] not in KINDS
            or (match["severity"] is None) != (match["kind"] == "NORM")
        ):
            msg = (
                f"{info}:{position}: found {text!r}, expected a line like "
                "'mdb001 G CIRC B 535 425 197' or 'mdb003 D NORM'"
            )
            raise DataError(msg)
        x, y, radius = map(int, match["place"].split()) if match["place"] else (0, 0, 0)
        label = _LABELS[match["severity"]] if match["severity"] else "benign"
        yield (
            match["number"],
            _Finding(KINDS[match["kind"]], label, (x, y, radius) if radius else None),
        )


def _refuse_difference(folder: Path, info: Path, missing: set[str], unknown: set[str]) -> None:
    if missing:
        msg = (
            f"{folder}: no mdb{min(missing)}.pgm, which {info.name} names "
            f"({len(missing)} such); unpack the whole archive there"
        )
        raise DataError(msg)
    if unknown:
        msg = (
            f"{folder}: mdb{min(unknown)}.pgm stands in no line of "
            f"{info.name} ({len(unknown)} such); expected one each"
        )
        raise DataError(msg)


def _film(folder: Path, number: str, path: Path, findings: list[_Finding]) -> Film:
    _refuse_other_size(path)
    labels = {finding.label for finding in findings}
    return Film(
        path=path,
        name=path.relative_to(folder).as_posix(),
        label="malignant" if "malignant" in labels else "benign",
        patient=f"mias-{(int(number) + 1) // 2}",
        laterality="RIGHT" if int(number) % 2 else "LEFT",
        view="MLO",
        abnormality="|".join(sorted({finding.kind for finding in findings})),
        lesions=tuple(
            Lesion(label=finding.label, abnormality=finding.kind, box=_box(*finding.circle))
            for finding in findings
            if finding.circle
        ),
        domain="film",
    )


def _refuse_other_size(path: Path) -> None:
    """Refuse a film of another size, for which the places in Info.txt would be wrong."""
    with path.open("rb") as file:
        header = re.match(rb"P[25]\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s", file.read(256))
    size = tuple(map(int, header.groups())) if header else None
    if size != (SIZE, SIZE):
        found = f"{size[0]} x {size[1]} pixels" if size else "no PGM header"
        msg = f"{path}: found {found}, expected a PGM of {SIZE} x {SIZE}, as the archive has them"
        raise DataError(msg)


def _box(x: int, y: int, radius: int) -> Box:
    """
    Draw the square around a circle whose y counts from the bottom edge, cut at the film's edges.
    """
    down = SIZE - y
    return Box(
        max(0, x - radius), max(0, down - radius), min(SIZE, x + radius), min(SIZE, down + radius)
    )
