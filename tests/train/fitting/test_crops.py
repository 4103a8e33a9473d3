"""
Pieces about lesions, the training on them, and what it hands on to the training on whole
mammograms.
"""

import csv
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from edge.domain import Box
from edge.inference.geometry import Geometry
from train import cli, recipes
from train.data.datasets import Film, Lesion
from train.data.films import Prepared
from train.errors import DataError
from train.fitting import crops, network
from train.fitting.augment import augment
from train.recipe import Augment, Crops, Head, Recipe
from train.run_folder import RunFolder

STILL = Augment(rotation_deg=0, zoom=0, flip_horizontal=False, flip_vertical=False)
CROPS = Crops(
    size=32,
    abnormality="mass",
    background=1.0,
    head=Head(filters=8, dropout=0.0),
    augment=STILL,
    phases=(),
    batch_size=4,
)
RECIPE = """
from dataclasses import replace
from train.recipe import Crops, Head
from train.recipes.seed import RECIPE as SEED

HEAD = Head(filters=8, dropout=0.1, pooling="auto")
PHASES = (replace(SEED.phases[1], epochs=1),)
RECIPE = replace(
    SEED, name="staged", alpha=0.35, batch_size=4, head=HEAD,
    input=replace(SEED.input, height=96, width=64), phases=PHASES,
    crops=Crops(
        size=64, abnormality=None, background=0.5, head=HEAD, augment=SEED.augment,
        phases=PHASES, batch_size=4,
    ),
)
"""
LINEAR = """
from train.recipe import Linear
RECIPE = replace(RECIPE, phases=(), linear=Linear(strength=0.01, copies=1))
HEAD = Head(filters=0, dropout=0.0, levels=("block_13_expand_relu",), lesions=True)
RECIPE = replace(RECIPE, head=HEAD)
"""


def lesion(x: float, y: float, *, malignant: bool, abnormality: str = "mass") -> Lesion:
    return Lesion(
        label="malignant" if malignant else "benign",
        abnormality=abnormality,
        box=Box(x - 5, y - 5, x + 5, y + 5),
    )


def prepared(*lesions: Lesion) -> Prepared:
    """One film of 100 x 80 pixels, as bright as far as the row and column say."""
    film = Film(path=Path("a.png"), name="a.png", label="benign", patient="A", lesions=lesions)
    image = (0.5 + 0.2 * np.arange(100)[:, None] / 100 + 0.3 * np.arange(80) / 80).astype(
        np.float16
    )
    geometry = Geometry(
        100, 80, flipped=False, box=Box(0, 0, 80, 100), top=0, left=0, height=100, width=80
    )
    one = np.ones(1, np.float32)
    return Prepared((film,), image[None], one, one, {}, (geometry,))


def test_piece_shows_its_lesion_in_the_middle() -> None:
    films = prepared(lesion(40, 50, malignant=True))
    pieces = crops.cut(films, replace(CROPS, background=0.0), seed=1)
    assert pieces.labels.tolist() == [1.0]
    assert np.array_equal(pieces.middle(32)[0], films.images[0, 34:66, 24:56])


def test_piece_at_the_edge_is_black_outside_of_the_film() -> None:
    pieces = crops.cut(
        prepared(lesion(75, 95, malignant=False)), replace(CROPS, background=0.0), seed=1
    )
    assert pieces.middle(32)[0, -5:].max() == 0
    assert pieces.middle(32)[0, 0, 0] > 0


def test_background_is_benign_and_shows_no_lesion() -> None:
    pieces = crops.cut(
        prepared(lesion(10, 10, malignant=True), lesion(70, 90, malignant=True)),
        replace(CROPS, background=3.0),
        seed=1,
    )
    background = ~pieces.lesion
    assert background.any()
    assert not pieces.labels[background].any()
    value = pieces.images[background][:, 24, 24].astype(np.float32)
    for x, y in ((10, 10), (70, 90)):
        assert np.abs(value - (0.5 + 0.2 * y / 100 + 0.3 * x / 80)).min() > 1e-3


def test_other_abnormalities_are_left_out() -> None:
    films = prepared(
        lesion(20, 20, malignant=True, abnormality="calcification"), lesion(60, 80, malignant=False)
    )
    assert crops.cut(films, replace(CROPS, background=0.0), seed=1).labels.tolist() == [0.0]


def test_same_seed_cuts_the_same_background() -> None:
    films = prepared(lesion(40, 50, malignant=True))
    one, two, other = (
        crops.cut(films, replace(CROPS, background=5.0), seed).images for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_films_without_lesion_boxes_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"no lesion box in 1 films, expected an index with <name>-lesions\.csv"
    ):
        crops.cut(prepared(), CROPS, seed=1)


def test_augmentation_takes_the_middle_of_a_larger_picture() -> None:
    images = np.random.default_rng(0).random((2, 48, 48, 1), dtype=np.float32)
    assert (
        np.abs(augment(images, tf.constant([1, 2]), STILL, (32, 32)) - images[:, 8:40, 8:40]).max()
        < 1e-6
    )


def test_tone_and_sharpness_stay_in_range_and_leave_black_black() -> None:
    images = np.random.default_rng(0).random((16, 40, 40, 1), dtype=np.float32)
    images[:, :20] = 0
    changed = augment(
        images, tf.constant([1, 2]), replace(STILL, blur=0.8, gamma=0.5, gain=0.2)
    ).numpy()
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert changed[:, :15].max() == 0
    assert changed[:, 25:].std(axis=(1, 2, 3)).std() > 0.01


def test_shift_moves_the_picture_no_further_than_told() -> None:
    images = np.zeros((32, 41, 41, 1), np.float32)
    images[:, 18:23, 18:23] = 1
    rows = np.argwhere(
        augment(images, tf.constant([1, 2]), replace(STILL, shift=0.1)).numpy() > 0.5
    )[:, 1]
    assert rows.min() >= 18 - 5
    assert rows.max() <= 22 + 5
    assert rows.max() - rows.min() > 6


@pytest.fixture
def staged(tmp_path: Path) -> Recipe:
    path = tmp_path / "staged.py"
    path.write_text(RECIPE)
    return recipes.load(str(path))


def test_auto_pool_is_between_the_mean_and_the_maximum(staged: Recipe) -> None:
    evidence = np.random.default_rng(0).normal(size=(3, 6, 4, 1)).astype(np.float32)
    pool = network.AutoPool()
    pooled = np.asarray(pool(evidence)).mean(axis=(1, 2, 3))
    assert np.all(pooled > evidence.mean(axis=(1, 2, 3)))
    assert np.all(pooled < evidence.max(axis=(1, 2, 3)))
    pool.sharpness.assign(0.0)
    assert np.asarray(pool(evidence)).mean(axis=(1, 2, 3)) == pytest.approx(
        evidence.mean(axis=(1, 2, 3)), abs=1e-6
    )
    outputs = network.build(staged, "none").predict(
        np.random.default_rng(0).random((2, 96, 64, 3)), verbose=0
    )
    logit = outputs[network.LOGIT_MAP].mean(axis=(1, 2, 3))
    assert outputs[network.PROBABILITY][:, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


@pytest.fixture
def index(tmp_path: Path, films: Path) -> Path:
    """The drawn films as an index CSV with one lesion box a film."""
    path = tmp_path / "index.csv"
    names = sorted(file.relative_to(tmp_path).as_posix() for file in films.rglob("*.png"))
    labels = ["malignant" if "Malignant" in name else "benign" for name in names]
    with path.open("w", newline="") as file:
        rows = zip(names, labels, (Path(name).name[:7] for name in names), strict=True)
        csv.writer(file).writerows([("path", "label", "patient"), *rows])
    with (tmp_path / "index-lesions.csv").open("w", newline="") as file:
        boxes = [
            (name, label.upper(), "mass", 30, 60, 60, 90)
            for name, label in zip(names, labels, strict=True)
        ]
        csv.writer(file).writerows(
            [("path", "pathology", "abnormality", "xmin", "ymin", "xmax", "ymax"), *boxes]
        )
    return path


def test_pieces_are_learnt_first_and_handed_on(tmp_path: Path, staged: Recipe, index: Path) -> None:
    run = RunFolder(tmp_path / "run")
    command = [
        "fit",
        str(tmp_path / "staged.py"),
        "--data",
        str(index),
        "--out",
        str(run.root),
        "--weights",
        "none",
    ]
    assert cli.main(command) == 0
    history = json.loads(run.history.read_text())
    assert [epoch["phase"] for epoch in history["crops"]["epochs"]] == [
        phase.name for phase in staged.phases
    ]
    assert [epoch["phase"] for epoch in history["epochs"]] == [
        phase.name for phase in staged.phases
    ]
    model = keras.models.load_model(run.model, compile=False)
    assert model.input_shape == (None, 96, 64, 3)
    small = network.build(staged.on_crops, "none")
    small.load_weights(run.stage("crops").best)
    # Batch norm never moves, so it is still what the pieces' network had; the rest went on
    # learning.
    for one, two in zip(small.weights, model.weights, strict=True):
        assert np.array_equal(one, two) or not any(
            part in one.path for part in ("gamma", "beta", "moving")
        )


def test_linear_head_is_the_logistic_regression_and_leaves_the_base_alone(
    tmp_path: Path, index: Path
) -> None:
    path = tmp_path / "linear.py"
    path.write_text(RECIPE + LINEAR)
    chosen = recipes.load(str(path))
    assert chosen.whole
    run = RunFolder(tmp_path / "run")
    assert (
        cli.main(
            ["fit", str(path), "--data", str(index), "--out", str(run.root), "--weights", "none"]
        )
        == 0
    )
    history = json.loads(run.history.read_text())
    assert history["linear"]["C"] == 0.01
    assert 0 <= history["linear"]["val_auc"] <= 1
    small = network.build(chosen.on_crops, "none")
    small.load_weights(run.stage("crops").best)
    model = keras.models.load_model(run.model, compile=False)
    for one, two in zip(
        small.get_layer(network.BASE).get_weights(),
        model.get_layer(network.BASE).get_weights(),
        strict=True,
    ):
        assert np.array_equal(one, two)
    films = np.random.default_rng(0).random((2, 96, 64, 3))
    outputs = model.predict(films, verbose=0)
    weights, bias = model.get_layer(network.LINEAR).get_weights()
    assert (
        weights.shape[2] == 1280 + 192 + 1
    )  # the last layer, block 13, and what the pieces' head says of the whole film
    assert float(model.get_layer(network.AUTO_POOL).sharpness) == float(
        small.get_layer(network.AUTO_POOL).sharpness
    )
    logit = outputs[network.FEATURES] @ weights[0, 0, :, 0] + bias
    assert outputs[network.PROBABILITY][:, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)
