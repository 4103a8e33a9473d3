"""
A dense recipe through the command line: fitted, exported, run by the daemon's engine.

Every second image is called digital and has no box.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from edge.domain import Result
from edge.inference.examiner import Examiner
from edge.inference.image import Limits
from edge.models.bundle import verify
from tests.support.tiny import draw_films
from train import cli
from train.run_folder import RunFolder, read_json

RECIPE = """
from dataclasses import replace
from tests.support.dense import RECIPE as TINY
from train.recipe import Averages

RECIPE = replace(TINY, max_difference=1.0, dense=replace(
    TINY.dense, steps=2, keep_every=1,
    averages=Averages(strength=0.03, floor=0.1, steadiness=10.0, freedom=5.0)))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> RunFolder:
    root = tmp_path_factory.mktemp("dense")
    films = sorted(draw_films(root / "films", 8, 1).rglob("*.png"))
    names = [film.relative_to(root).as_posix() for film in films]
    labels = [film.parent.name.lower() for film in films]
    with (root / "index.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("path", "label", "patient", "domain"))
        lines.writerows(
            (name, label, Path(name).stem[:7], ("film", "digital")[number % 2])
            for number, (name, label) in enumerate(zip(names, labels, strict=True))
        )
    boxes = [
        {"path": name, "pathology": label.upper(), "abnormality": "mass"}
        | dict(zip(("xmin", "ymin", "xmax", "ymax"), ("30", "70", "60", "110"), strict=True))
        for name, label in list(zip(names, labels, strict=True))[::2]
    ]
    with (root / "index-lesions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(boxes[0]))
        writer.writeheader()
        writer.writerows(boxes)
    recipe = root / "dense.py"
    recipe.write_text(RECIPE)
    out = root / "run"
    data = ["--data", str(root / "index.csv")]
    fit = ["fit", str(recipe), *data, "--out", str(out), "--weights", str(tiny_weights)]
    assert cli.main(fit) == 0
    about = root / "about.txt"
    about.write_text("Drawn from the fixtures.\n")
    assert cli.main(["export", str(out), "--about-data", str(about)]) == 0
    return RunFolder(out)


def test_bundle_says_that_the_highest_cell_is_the_logit(run: RunFolder) -> None:
    bundle = verify(run.bundle)
    assert bundle.manifest.outputs.pooling == "max"
    examiner = Examiner(bundle, "auto", 1, None, Limits())
    examiner.prove()
    picture = next((run.root.parent / "films").rglob("*.png"))
    outcome = examiner.examine(picture)
    assert isinstance(outcome, Result)
    assert outcome.prediction.heatmap
    highest = np.max(outcome.prediction.heatmap.values)
    raw = outcome.prediction.raw
    assert highest <= np.log(raw / (1 - raw)) + 0.05


def test_history_names_the_steps_and_the_averages(run: RunFolder) -> None:
    history = read_json(run.history, "fit")
    assert [epoch["epoch"] for epoch in history["epochs"]] == [1, 2]
    assert 0 <= history["averages"]["val_auc"] <= 1
