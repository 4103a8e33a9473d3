"""Format figures for the page."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Figures:
    """A quantity that was measured several times."""

    values: tuple[float, ...]
    digits: int = 1

    @property
    def median(self) -> float:
        """The median of all values."""
        return statistics.median(self.values)

    def percentile(self, percent: float) -> float:
        """Give a percentile, from 0 to 100."""
        return float(np.percentile(self.values, percent))

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:.{self.digits}f} ({low:.{self.digits}f} to {high:.{self.digits}f})"


def figures(values: Sequence[float], digits: int = 1) -> Figures:
    """Make figures of a list of values."""
    return Figures(tuple(values), digits)


def ratio(ours: Sequence[float], theirs: Sequence[float], digits: int = 3) -> Figures:
    """Divide pairs of values that were measured one after the other."""
    return Figures(tuple(one / other for one, other in zip(ours, theirs, strict=True)), digits)
