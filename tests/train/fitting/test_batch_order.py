"""The films of a batch, and the optimizer and rate that a phase's numbers become."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from train.fitting import batch_order
from train.fitting.network import AutoPool
from train.fitting.optimizer import optimizer, rate
from train.recipe import Phase

FILMS = 11
PHASE = Phase(name="one", epochs=3, learning_rate=0.1, train_base=True)


def epoch_of(number: int, *, seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Film numbers, shape (batches, 4)."""
    data = batch_order.batches(FILMS, 4, seed, number).take(batch_order.steps(FILMS, 4))
    return np.array([rows.numpy() for rows, _ in data])


def test_every_film_is_seen_in_every_epoch_and_every_batch_is_full() -> None:
    rows = epoch_of(0)
    assert rows.shape == (3, 4)
    assert set(rows.flatten()) == set(range(FILMS))
    assert np.bincount(rows.flatten()).max() == 2


def test_order_is_of_seed_and_epoch() -> None:
    assert np.array_equal(epoch_of(5), epoch_of(5))
    assert not np.array_equal(epoch_of(5), epoch_of(6))
    assert not np.array_equal(epoch_of(5), epoch_of(5, seed=2))


def test_no_two_batches_are_changed_alike() -> None:
    seeds = {tuple(seed.numpy()) for _, seed in batch_order.batches(FILMS, 4, 1, 0).take(30)}
    assert len(seeds) == 30


def test_fewer_films_than_a_batch_fill_it() -> None:
    rows, _ = next(iter(batch_order.batches(3, 8, 1, 0)))
    assert sorted(np.bincount(rows.numpy())) == [2, 3, 3]


def test_warm_up_climbs_to_the_rate_and_decay_ends_at_a_tenth_of_it() -> None:
    phase = Phase(
        name="one", epochs=3, learning_rate=0.1, train_base=True, decay=True, warmup_epochs=1
    )
    schedule = rate(phase, steps=10)
    assert callable(schedule)
    assert [float(schedule(step)) for step in (0, 5, 10, 30)] == pytest.approx([0, 0.05, 0.1, 0.01])


def test_warm_up_alone_stays_at_the_rate() -> None:
    schedule = rate(
        Phase(name="one", epochs=3, learning_rate=0.1, train_base=True, warmup_epochs=0.5), steps=10
    )
    assert callable(schedule)
    assert [float(schedule(step)) for step in (0, 5, 30)] == pytest.approx([0, 0.1, 0.1])


def test_phase_with_nothing_special_is_plain_adam_at_a_constant_rate() -> None:
    plain = optimizer(PHASE, steps=10)
    assert type(plain) is keras.optimizers.Adam
    assert rate(PHASE, steps=10) == 0.1
    assert (plain.weight_decay, plain.global_clipnorm, plain.use_ema) == (None, None, False)


def test_adamw_decays_kernels_and_spares_biases() -> None:
    phase = Phase(
        name="one",
        epochs=3,
        learning_rate=0.1,
        train_base=True,
        optimizer="adamw",
        weight_decay=0.5,
    )
    kernel, bias = (keras.Variable(1.0, name=name) for name in ("kernel", "bias"))
    adamw = optimizer(phase, steps=10)
    adamw.build([kernel, bias])
    adamw.apply_gradients([(tf.constant(0.0), kernel), (tf.constant(0.0), bias)])
    assert float(kernel) == pytest.approx(0.95)
    assert float(bias) == 1.0


def test_decay_spares_the_sharpness_of_auto_pool() -> None:
    phase = Phase(
        name="one",
        epochs=1,
        learning_rate=0.1,
        train_base=True,
        optimizer="adamw",
        weight_decay=0.5,
    )
    evidence = keras.Input((2, 3, 1))
    model = keras.Model(evidence, AutoPool()(keras.layers.Conv2D(1, 1)(evidence)))
    adamw = optimizer(phase, steps=10)
    adamw.build(model.trainable_variables)
    assert [
        weight.name for weight in model.trainable_variables if adamw._use_weight_decay(weight)
    ] == ["kernel"]
