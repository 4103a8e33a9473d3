"""Train a network of 34 weights on ten random images, by the code of real training, in a second."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from train.fitting import batch_order, loop, network
from train.fitting.loop import Data
from train.recipe import Phase
from train.run_folder import RunFolder, Stage

PHASES = (
    Phase(
        name="head",
        epochs=2,
        learning_rate=1e-2,
        train_base=False,
        optimizer="adamw",
        weight_decay=0.1,
        ema=0.9,
        clip_norm=1.0,
    ),
    Phase(
        name="all",
        epochs=2,
        learning_rate=1e-2,
        train_base=True,
        decay=True,
        warmup_epochs=1,
        label_smoothing=0.1,
    ),
)


ONE_PHASE = (
    replace(
        PHASES[0],
        train_base=True,
        decay=True,
        warmup_epochs=1,
        label_smoothing=0.1,
        clip_norm=None,
    ),
)
"""
All that the phases have in one, but `clip_norm`: Keras clips each device's part of the gradient.
"""


def toy(dropout: float) -> keras.Model:
    """Build a network with the layer names of `network.build`."""
    base = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Conv2D(3, 3, activation="relu")], name=network.BASE
    )
    image = keras.Input((4, 4, 1))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(dropout)(base(image)))
    probability = keras.layers.Dense(1, activation="sigmoid")(features)
    return keras.Model(image, {network.PROBABILITY: probability, network.LOGIT_MAP: features})


def toy_data() -> Data:
    generator = np.random.default_rng(0)
    labels = np.arange(10, dtype=np.float32)[:, None] % 2
    images = generator.normal(size=(10, 4, 4, 1)).astype(np.float32) + labels[:, None, None]

    def training(epoch: int) -> tf.data.Dataset:
        return batch_order.batches(len(labels), 4, 7, epoch).map(
            lambda rows, _: (tf.gather(images, rows), tf.gather(labels, rows))
        )

    validation = tf.data.Dataset.from_tensor_slices((images[:9], labels[:9])).batch(4)
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return Data(
        training, batch_order.steps(10, 4), loop.filled(validation, 4, 9) if several else validation
    )


def train_toy(
    stage: Stage, dropout: float = 0.3, phases: tuple[Phase, ...] = PHASES
) -> tuple[list[np.ndarray[Any, Any]], list[dict[str, Any]]]:
    """Train; returns weights, and each epoch's figures without its duration."""
    loop.make_deterministic(3)
    model = toy(dropout)
    history = loop.train(model, toy_data(), phases, stage)
    epochs = [
        {name: value for name, value in epoch.items() if name != "seconds"}
        for epoch in history["epochs"]
    ]
    return model.get_weights(), [*epochs, {"best": history["best_epoch"]}]


def keep_trained(run: Path, file: Path, dropout: float = 0.0) -> None:
    """Train in one phase, and write weights and each epoch's scores to an .npz file."""
    weights, epochs = train_toy(RunFolder(run).stage(), dropout, ONE_PHASE)
    auc, val_loss, loss = (
        np.array([epoch[name] for epoch in epochs[:-1]]) for name in ("val_auc", "val_loss", "loss")
    )
    np.savez(file, *weights, val_auc=auc, val_loss=val_loss, loss=loss)


def train_two_stages(run: RunFolder) -> list[np.ndarray[Any, Any]]:
    """Train a second network after a first one; returns its weights."""
    train_toy(run.stage("first"), phases=ONE_PHASE)
    model = toy(0.3)
    loop.train(model, toy_data(), ONE_PHASE, run.stage("second"))
    return [*model.get_weights()]
