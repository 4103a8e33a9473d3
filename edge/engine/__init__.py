"""Runtimes behind one Protocol: one file each, chosen by name."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scores:
    """What one inference gives."""

    raw: float
    """The probability output, 0 to 1."""
    logit_map: NDArray[np.float32] | None
    """Shape (rows, columns), or None where the model has no such output."""


class Engine(Protocol):
    """One loaded model file."""

    backend: str
    threads: int

    def infer(self, tensor: NDArray[np.float32]) -> Scores:
        """
        Run the model once.

        Args:
            tensor: shape (1, height, width, channels), float32 in the model's range.
        """
        ...
