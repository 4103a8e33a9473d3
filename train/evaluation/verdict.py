"""
The verdict on a model that may be no better than chance, in words for whoever reads one line.

A table of figures is read for its best row. A model whose AUC has one half in its interval has
shown nothing, on all films or on those of one group, and that stands first.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

CHANCE: Final = 0.5
FEWEST: Final = 10
"""Images of a class below which nobody can say that a model is worse than chance."""
NOT_SHOWN: Final = "not shown to be better than chance"
WORSE: Final = "worse than chance"
FEW: Final = f"; fewer than {FEWEST} of a class, which says little either way"
_CLASS: Final = ("images", "malignant")


def mark(row: Mapping[str, Any]) -> str | None:
    """
    Judge one row; None if its AUC is above chance or unknown, as where a class is missing.

    An interval that holds one half shows nothing. Of few images, or of how many nobody knows, none
    shows that the model is worse.
    """
    auc, interval = row.get("auc"), row.get("intervals_95", {}).get("auc")
    if auc is None or (interval and interval[0] > CHANCE):
        return None
    many = all(name in row for name in _CLASS) and not few(row)
    return WORSE if interval and interval[1] < CHANCE and many else NOT_SHOWN


def few(row: Mapping[str, Any]) -> bool:
    """Tell if a class has so few images that an interval means little."""
    return bool(min(row["malignant"], row["images"] - row["malignant"]) < FEWEST)


def sentences(measured: Mapping[str, Any]) -> list[str]:
    """
    Say where a model is not better than chance.

    Args:
        measured: the figures of an evaluation.

    Returns:
        One sentence each for all test films and for every group that has an AUC; none if every
        interval lies above one half.
    """
    return [
        _sentence(on, row, said) for on, row in _rows(measured) if (said := mark(row)) is not None
    ]


def _rows(measured: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield all that has an AUC of this model, named as in its table."""
    yield "the test patients", measured["test"]
    for name, rows in measured["subgroups"].items():
        for row in rows:
            yield f'"{name}: {row["group"]}"', row
    for table in ("exams", "breasts"):
        for name, row in measured.get(table, {}).items():
            yield f'"{name}"', row
    yield from _against("the test patients", measured.get("normal", {}))
    digital = measured.get("digital", {})
    if digital:
        on = f"the digital mammograms of {digital['data']}"
        yield on, digital
        yield from _against(on, digital.get("normal", {}))


def _against(on: str, normal: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for other, name in (("normal", "against_normal"), ("benign findings alone", "against_benign")):
        if name in normal:
            yield f"{on}, malignant against {other}", normal[name]


def _sentence(on: str, row: Mapping[str, Any], said: str) -> str:
    """Judge one row in words, with its figure, its interval and its size as far as known."""
    ends = row["intervals_95"].get("auc")
    interval = f"95 % interval {ends[0]:.3f} to {ends[1]:.3f}" if ends else "without an interval"
    counted = ""
    if all(name in row for name in _CLASS):
        counted = f", {row['images']} images ({row['malignant']} malignant)"
        counted += f" of {row['patients']} patients" + (FEW if few(row) else "")
    return f"On {on} this model is {said}: AUC {row['auc']:.3f}, {interval}{counted}"
