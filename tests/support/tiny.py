"""Make a tiny data set, and keep the results of a whole command line run on it."""

import csv
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.image import Limits, open_mammogram
from tests.support.tools import DATA
from train.run_folder import RunFolder


@dataclass(frozen=True)
class Tiny:
    """A finished run, its recipe and its data."""

    run: RunFolder
    recipe: Path
    data: Path

    def copy_run(self, folder: Path) -> RunFolder:
        """Copy the run, for a command that writes into it: the run itself is every test's."""
        return RunFolder(shutil.copytree(self.run.root, folder / "copy"))


@cache
def _pixels(name: str) -> NDArray[np.uint8 | np.uint16]:
    """Decode a fixture once a process."""
    return open_mammogram(DATA / f"cbis-ddsm-{name}.jpg", Limits()).pixels


def draw_films(folder: Path, patients_per_class: int, films_per_patient: int = 2) -> Path:
    """
    Draw a folder with Benign/ and Malignant/ under CBIS-DDSM's names.

    The films are the fixtures, smaller and changed a little for each patient.
    """
    sources = {"Benign": ["benign-cc", "benign-mlo"], "Malignant": ["malignant-cc", "malignant-cc"]}
    generator = np.random.default_rng(0)
    for offset, (label, names) in enumerate(sources.items()):
        (folder / label).mkdir(parents=True)
        for patient in range(patients_per_class):
            for film in range(films_per_patient):
                gain = generator.uniform(0.7, 1.0)
                darker = (_pixels(names[film % 2]) * gain).astype(np.uint8)
                small = cv2.resize(darker, (120, 200), interpolation=cv2.INTER_AREA)
                cv2.imwrite(
                    str(folder / label / f"P_{2 * patient + offset:05}_{'LR'[film % 2]}.png"), small
                )
    return folder


def write_index(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write an index CSV with the columns of the first row, and a file for each path."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        if row["path"]:
            (path.parent / row["path"]).write_text(f"{path} {row['path']}")
    return path
