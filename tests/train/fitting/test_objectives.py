"""The objectives of the dense network, and training that imitates another network."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.dense import DENSE, RECIPE
from tests.support.films_drawn import film, lesion, prepared
from train.data.films import Prepared
from train.fitting import dense_loop, dense_network, objectives
from train.fitting.dense_network import MALIGNANT, Network
from train.run_folder import RunFolder

HOW = replace(DENSE, steps=25, ema=0.9, weight_decay=0.0, dropout=0.0, keep_every=100)


def drawn() -> Prepared:
    images = np.random.default_rng(0).uniform(0.2, 0.6, (6, 96, 64))
    box = lesion(20, 20, 40, 40)
    return prepared([film(n, malignant=bool(n % 2), lesions=(box,)) for n in range(6)], images)


def built(seed: int) -> Network:
    keras.utils.set_random_seed(seed)
    return dense_network.build(RECIPE, DENSE, "none")


def moved(network: Network) -> Network:
    """Copy a network and push the weights of its head."""
    found, generator = built(1), np.random.default_rng(0)
    found.whole.set_weights(network.whole.get_weights())
    layer = found.pieces.get_layer(MALIGNANT)
    layer.set_weights([each + generator.normal(0, 1, each.shape) for each in layer.get_weights()])
    return found


def arguments(label: float) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    images = drawn().images[:2].astype(np.float32)[..., None] * 2 - 1
    return tf.constant(images), tf.zeros((2, 6, 4, 4)), tf.fill((2,), label)


def test_imitating_itself_a_network_has_nothing_to_learn() -> None:
    network = built(0)
    assert float(objectives.imitation(network, network)(*arguments(1.0)).total) == 0


def test_imitation_looks_at_no_label() -> None:
    network = built(0)
    measure = objectives.imitation(moved(network), network)
    losses = [float(measure(*arguments(label)).total) for label in (0.0, 1.0)]
    assert losses[0] == losses[1] > 0


def test_score_of_a_piece_counts_in_both_objectives() -> None:
    network = built(0)
    copy = moved(network)
    for measure in (objectives.boxes(copy), objectives.imitation(copy, network)):
        assert float(measure(*arguments(1.0)).piece) > 0


def test_network_that_imitates_comes_closer_to_its_teacher(tmp_path: Path) -> None:
    teacher = built(0)
    before, student = teacher.whole.get_weights(), moved(teacher)
    image = arguments(0.0)[0]

    def apart() -> float:
        found, known = (each.pieces(image)[MALIGNANT] for each in (student, teacher))
        return float(np.abs(found - known).mean())

    first = apart()
    dense_loop.train(
        student,
        drawn(),
        RECIPE,
        HOW,
        RunFolder(tmp_path).stage(),
        objectives.imitation(student, teacher),
    )
    assert apart() < 0.5 * first
    assert all(
        np.array_equal(old, new)
        for old, new in zip(before, teacher.whole.get_weights(), strict=True)
    )


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_boxes_look_at_the_label(label: float) -> None:
    network = built(0)
    keras.utils.set_random_seed(0)
    losses = [float(objectives.boxes(network)(*arguments(each)).piece) for each in (label, 0.5)]
    assert losses[0] != losses[1]
