"""The colours, the resolution and the axes that all pictures share."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

__all__ = ["BENIGN", "DPI", "MALIGNANT", "Axes", "Numbers", "axes_of", "plt", "subject"]

Numbers: TypeAlias = Mapping[str, Any]
"""The numbers of a run, as its JSON files have them."""
BENIGN: Final = "#3b6ea5"
MALIGNANT: Final = "#c44e52"
DPI: Final = 110
"""Dots an inch of a picture."""


def subject(numbers: Numbers) -> str:
    """
    Say in two lines what a picture is of: which films of whom, and which file scored them.

    A picture is looked at without its page, too.
    """
    test, bundle = numbers["test"], numbers["bundle"]
    data = ", ".join(numbers["data"].get("sources", ()))
    return (
        f"{test['images']} test films of {test['patients']} patients"
        + (f": {data}" if data else "")
    ) + f"\n{bundle['file']} of {bundle['name']} {bundle['version']}"


@contextmanager
def axes_of(path: Path, title: str, numbers: Numbers) -> Iterator[Axes]:
    """Give axes with a title and their subject, and save the picture at the end of the block."""
    figure, axes = plt.subplots(figsize=(6.2, 5.4), layout="constrained")
    figure.suptitle(title)
    axes.set_title(subject(numbers), fontsize="small", color="dimgrey")
    yield axes
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
