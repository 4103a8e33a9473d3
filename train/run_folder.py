"""The folder of one training run: the place of every file, and its notebook `run.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.system.files import whole
from train.errors import TrainError


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The names of all files of a run, so that commands agree on them."""

    root: Path

    @property
    def notes(self) -> Path:
        """Name the notebook: recipe, data, split, versions, times."""
        return self.root / "run.json"

    @property
    def split(self) -> Path:
        """Name the CSV of path, label, patient, split."""
        return self.root / "split.csv"

    @property
    def history(self) -> Path:
        """Name the file of loss and scores after every epoch."""
        return self.root / "history.json"

    @property
    def model(self) -> Path:
        """Name the network after its best epoch."""
        return self.root / "model.keras"

    @property
    def model_int8(self) -> Path:
        """Name the network that learnt to be rounded, if the recipe trains one."""
        return self.root / "model-int8.keras"

    @property
    def started(self) -> Path:
        """Name the file of what `fit` was asked for; the run goes on only with the same."""
        return self.root / "started.json"

    @property
    def kept(self) -> bool:
        """Tell if any training got through an epoch here."""
        return any(self.stage().root.rglob(self.stage().state.name))

    def stage(self, name: str = "") -> "Stage":
        """Name checkpoints and logs of one training; a run of several gives each a name."""
        return Stage(self.root / "checkpoints" / name, self.root / "logs" / name)

    @property
    def cache(self) -> Path:
        """Name the folder of prepared images, in which each preprocessing and index has one."""
        return self.root / "cache"

    @property
    def evaluation(self) -> Path:
        """Name the folder of pictures and `metrics.json` on the test patients."""
        return self.root / "evaluation"

    @property
    def metrics(self) -> Path:
        """Name the numbers of `evaluate`."""
        return self.evaluation / "metrics.json"

    @property
    def exported(self) -> Path:
        """Name the numbers of `export`: agreement with Keras, scores of the exported file."""
        return self.root / "export.json"

    @property
    def bundle(self) -> Path:
        """Name the folder of the bundle, unless `export` is told another."""
        return self.root / "bundle"

    @property
    def report(self) -> Path:
        """Name the page of `report`."""
        return self.root / "report.html"


@dataclass(frozen=True, slots=True)
class Stage:
    """The files that one training of a run needs to go on."""

    root: Path
    logs: Path
    """The folder for TensorBoard."""

    @property
    def best(self) -> Path:
        """Name the weights of the best epoch so far."""
        return self.root / "best.weights.h5"

    @property
    def state(self) -> Path:
        """
        Name the file of all that the next epoch depends on; `train.fitting.checkpoint` writes it.
        """
        return self.root / "state.npz"


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON so that a reader finds the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        file.write(f"{json.dumps(values, indent=1)}\n".encode())


def read_json(path: Path, made_by: str) -> dict[str, Any]:
    """
    Read what an earlier command of the run wrote.

    Raises:
        TrainError: it is not there or not JSON; the text names the command that makes it.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        msg = f"{path} is not there; run `mammo-train {made_by}` first"
        raise TrainError(msg) from None
    except ValueError as error:
        msg = f"{path}: not JSON: {error}"
        raise TrainError(msg) from None
    return values
