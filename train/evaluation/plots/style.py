"""The colours, the resolution and the axes that all pictures share."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

__all__ = ["BENIGN", "DPI", "MALIGNANT", "Axes", "Numbers", "axes_of", "plt"]

Numbers: TypeAlias = Mapping[str, Any]
"""The numbers of a run, as its JSON files have them."""
BENIGN: Final = "#3b6ea5"
MALIGNANT: Final = "#c44e52"
DPI: Final = 110
"""Dots an inch of a picture."""


@contextmanager
def axes_of(path: Path, title: str) -> Iterator[Axes]:
    """Give one pair of axes with a title, and save the picture at the end of the block."""
    figure, axes = plt.subplots(figsize=(5.8, 4.8), layout="constrained")
    axes.set_title(title)
    yield axes
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
