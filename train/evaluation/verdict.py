"""
The verdict on a model that may be no better than chance, in words for whoever reads one line.

A table of figures is read for its best row. A model whose AUC has one half in its interval has
shown nothing, on all films or on those of one kind, and that stands first.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from train.evaluation import subgroups

CHANCE: Final = 0.5
FEWEST: Final = 10
"""Images of a class below which a kind of mammogram is not judged by itself."""


def sentences(measured: Mapping[str, Any]) -> list[str]:
    """
    Say where a model is not better than chance.

    Args:
        measured: the figures of an evaluation.

    Returns:
        One sentence each for all test films and for every domain and data set among them; none if
        every interval lies above one half.
    """
    whole = _sentence("the test patients", measured["test"])
    return [*([whole] if whole else []), *_by_kind(measured["subgroups"])]


def _by_kind(groups: Mapping[str, Any]) -> Iterator[str]:
    for name, on in ((subgroups.DOMAIN, "those of {}"), (subgroups.DATA_SET, "those of {}")):
        for row in groups.get(name, ()):
            benign = row["images"] - row["malignant"]
            said = _sentence(on.format(_kind(row["group"])), row)
            if said and min(row["malignant"], benign) >= FEWEST:
                yield said


def _kind(group: str) -> str:
    return {"film": "scanned films", "digital": "digital mammograms"}.get(group, f"`{group}`")


def _sentence(on: str, row: Mapping[str, Any]) -> str | None:
    """Judge one row; None if it is above chance, or if a class is missing."""
    interval = row["intervals_95"].get("auc")
    if row["auc"] is None or not interval or interval[0] > CHANCE:
        return None
    worse = "is worse than chance" if interval[1] < CHANCE else "may be no better than chance"
    return (
        f"On {on} this model {worse}: AUC {row['auc']:.3f}, 95 % interval "
        f"{interval[0]:.3f} to {interval[1]:.3f}, {row['images']} mammograms of "
        f"{row['patients']} patients"
    )
