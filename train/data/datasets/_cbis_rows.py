"""The four case descriptions of CBIS-DDSM, row by row."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal, NoReturn

from train.data.index import Label
from train.errors import DataError

GROUPS: Final = ("mass_train", "mass_test", "calc_train", "calc_test")
"""
The groups of the archive, masses first: a film with both is read from the folder of the masses.
"""
_LABELS: Final[Mapping[str, Label]] = {
    "MALIGNANT": "malignant",
    "BENIGN": "benign",
    "BENIGN_WITHOUT_CALLBACK": "benign",
}
_WORDS: Final[Mapping[str, str]] = {
    "mass shape": "shape",
    "mass margins": "margins",
    "calc type": "calc_type",
    "calc distribution": "calc_distribution",
    "assessment": "birads",
}
_NEEDED: Final = (
    "patient id",
    "breast density",
    "left or right breast",
    "image view",
    "assessment",
    "pathology",
    "subtlety",
    "image file path",
    "roi mask file path",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A row: one abnormality on a film."""

    group: str
    """The group, one of `GROUPS`."""
    patient: str
    laterality: str
    view: str
    label: Label
    density: int | None
    birads: int | None
    subtlety: int | None
    descriptors: tuple[str, ...]
    """The radiologist's words: shape and margins, or type and distribution; BI-RADS."""
    film: PurePosixPath
    """The path in the CSV, of which only the first folder and the series can be relied on."""
    roi: str
    """The folder of mask and cropped image."""

    @property
    def kind(self) -> str:
        """Give `mass` or `calc`."""
        return self.group.partition("_")[0]

    @property
    def official(self) -> Literal["train", "test"]:
        """Give the side of the official split."""
        return "test" if self.group.endswith("test") else "train"


def table_name(group: str) -> str:
    """Name the CSV file of a group."""
    kind, _, side = group.partition("_")
    return f"{kind}_case_description_{side}_set.csv"


def findings(path: Path, group: str) -> Iterator[Finding]:
    """
    Read one case description.

    Raises:
        DataError: a column is missing, or a value cannot be right, with its line.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        header = [name.strip().lower().replace("_", " ") for name in next(reader, [])]
        missing = [name for name in _NEEDED if name not in header]
        if missing:
            msg = (
                f"{path}:1: no column {', '.join(missing)}; found {', '.join(header) or 'nothing'}"
            )
            raise DataError(msg)
        for values in filter(None, reader):  # a blank line says nothing
            row = dict.fromkeys(header, "") | dict(
                zip(header, (value.strip() for value in values), strict=False)
            )
            yield _finding(row, group, f"{path}:{reader.line_num}")


def _finding(row: Mapping[str, str], group: str, where: str) -> Finding:
    film, roi = PurePosixPath(row["image file path"]), PurePosixPath(row["roi mask file path"])
    label = _LABELS.get(row["pathology"])
    if label is None:
        _refuse(where, "pathology", row["pathology"], ", ".join(_LABELS))
    for column, path in (("image file path", film), ("ROI mask file path", roi)):
        if len(path.parts) < 2:  # noqa: PLR2004 - a folder and something in it
            _refuse(
                where,
                column,
                str(path),
                "a path like Mass-Training_P_00001_LEFT_CC/1.3.6.1/1.3.6.1/000000.dcm",
            )
    if not row["patient id"]:
        _refuse(where, "patient_id", "", "P_00001 or alike")
    return Finding(
        group=group,
        patient=row["patient id"],
        laterality=row["left or right breast"],
        view=row["image view"],
        label=label,
        density=_integer(row["breast density"], where, "breast density"),
        birads=_integer(row["assessment"], where, "assessment"),
        subtlety=_integer(row["subtlety"], where, "subtlety"),
        descriptors=_descriptors(row),
        film=film,
        roi=roi.parts[0],
    )


def _descriptors(row: Mapping[str, str]) -> tuple[str, ...]:
    words = {name: row.get(column, "") for column, name in _WORDS.items()}
    return tuple(f"{name} {word}" for name, word in words.items() if word and word != "N/A")


def _integer(text: str, where: str, column: str) -> int | None:
    try:
        return int(float(text)) if text else None
    except (ValueError, OverflowError):
        _refuse(where, column, text, "a whole number")


def _refuse(where: str, column: str, found: str, expected: str) -> NoReturn:
    msg = f"{where}: {column} is {found or 'empty'}, expected {expected}"
    raise DataError(msg)
