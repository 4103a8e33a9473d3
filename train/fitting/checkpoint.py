"""
The state of a training after each epoch, in one file that is there whole or not at all.

Keras's BackupAndRestore leaves out the state of the random generators (measured: with dropout,
weights off by 0.007 after two more epochs), writes weights and epoch number one after the other,
and knows nothing of phases, of the best epoch or of the numbers so far.
"""

import json
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.system.files import remove_parts, whole
from train.errors import TrainError


@dataclass(slots=True)
class Progress:
    """The record of the epochs so far."""

    phase: int = 0
    """Number of the phase that the last finished epoch belongs to."""
    epochs: list[dict[str, Any]] = field(default_factory=list)
    """The number, phase, seconds and Keras's numbers of each finished epoch."""
    best_epoch: int = 0
    """The number of the best epoch, from 1; 0 before the first."""
    best_auc: float = -1.0

    def history(self) -> dict[str, Any]:
        """Give the record as `history.json` has it."""
        return {"chosen_by": "val_auc", "best_epoch": self.best_epoch, "epochs": self.epochs}


def save(path: Path, progress: Progress, variables: Iterable[keras.Variable]) -> None:
    """
    Write all that the next epoch depends on; a reader finds the old file or the new one.

    That holds after a power cut, too.
    """
    remove_parts(path.parent)  # what a kill left of an earlier one
    arrays = {
        f"{number:04}": keras.ops.convert_to_numpy(variable)
        for number, variable in enumerate(variables)
    }
    with whole(path) as file:
        np.savez(file, progress=np.array(json.dumps(asdict(progress))), **arrays)


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that `save` wrote."""

    path: Path
    progress: Progress
    arrays: tuple[NDArray[Any], ...]

    def restore(self, variables: Iterable[keras.Variable]) -> None:
        """
        Give every variable its value back.

        Args:
            variables: the same, in the same order, as `save` got.

        Raises:
            TrainError: they are not the same.
        """
        targets = list(variables)
        expected, found = (
            [tuple(target.shape) for target in targets],
            [array.shape for array in self.arrays],
        )
        if found != expected:
            msg = (
                f"{self.path}: {len(found)} variables of another network, expected "
                f"{len(expected)}; --restart trains from the start"
            )
            raise TrainError(msg)
        for target, array in zip(targets, self.arrays, strict=True):
            target.assign(array)


def load(path: Path) -> Saved | None:
    """
    Read the state of a training; None if it has not finished an epoch.

    Raises:
        TrainError: the file is not readable.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            progress = Progress(**json.loads(str(arrays["progress"])))
            return Saved(
                path,
                progress,
                tuple(arrays[name] for name in sorted(set(arrays.files) - {"progress"})),
            )
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path}: not a checkpoint of this version ({error}); --restart trains from the start"
        raise TrainError(msg) from None
