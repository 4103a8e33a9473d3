"""
One device or several, each with its share of every batch and the same weights.

Across machines TensorFlow reads the environment variable TF_CONFIG; `docs/guides/training.md` shows
one. The first of them keeps the files.
"""

import json
import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from train.errors import TrainError


def strategy(devices: int | None, batch_size: int) -> tf.distribute.Strategy:
    """
    Choose how to spread the training; to be called before TensorFlow does anything else.

    Args:
        devices: number of this machine's; None: all GPUs, or the CPU if there is none.
        batch_size: of the recipe; it stays what it is, and is shared out.

    Returns:
        Its `scope()` is where the network is built and trained.

    Raises:
        TrainError: there are not so many devices, or the batch cannot be shared out evenly.
    """
    chosen = (
        tf.distribute.MultiWorkerMirroredStrategy() if machines() > 1 else _of_this_machine(devices)
    )
    count = chosen.num_replicas_in_sync
    if batch_size % count:
        msg = (
            f"batches of {batch_size} images cannot be shared out evenly over "
            f"{count} devices; choose --devices, or another batch_size"
        )
        raise TrainError(msg)
    return chosen


def _of_this_machine(devices: int | None) -> tf.distribute.Strategy:
    gpus, cpus = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    found = [device.name for device in gpus or cpus]
    count = devices or max(1, len(gpus))
    if count > len(found):
        msg = f"--devices {count}: TensorFlow sees {len(found)} ({', '.join(found)})"
        raise TrainError(msg)
    return (
        tf.distribute.get_strategy()
        if count == 1
        else tf.distribute.MirroredStrategy(found[:count])
    )


def machines() -> int:
    """Count the machines that TF_CONFIG names, a chief and the workers; 1 without it."""
    cluster = _cluster().get("cluster", {})
    return sum(len(cluster.get(kind, [])) for kind in ("chief", "worker")) or 1


def keeps_files() -> bool:
    """Tell if this process is the one that writes: the chief, or without one the first worker."""
    values = _cluster()
    task, chief = values.get("task", {}), "chief" in values.get("cluster", {})
    return int(task.get("index", 0)) == 0 and (not chief or task.get("type") == "chief")


def _cluster() -> dict[str, Any]:
    try:
        values: Any = json.loads(os.environ.get("TF_CONFIG", "{}"))
    except ValueError as error:
        msg = f"TF_CONFIG is not JSON: {error}"
        raise TrainError(msg) from None
    if not isinstance(values, dict) or not all(
        isinstance(values.get(name, {}), dict) for name in ("cluster", "task")
    ):
        msg = (
            f"TF_CONFIG is {json.dumps(values)[:100]}, expected an object with "
            "`cluster` and `task`, as in docs/guides/training.md"
        )
        raise TrainError(msg)
    return values


def classifier(model: keras.Model) -> keras.Model:
    """Give the same network in a form that Keras can fit on these devices."""
    return _AcrossMachines(model.input, model.output, name=model.name) if machines() > 1 else model


def shared_out(data: tf.data.Dataset) -> tf.data.Dataset:
    """Let every machine make every batch, and take its part of it."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return data.with_options(options)


def wait_for_all() -> None:
    """Wait until every machine got here: what the first one wrote is there then."""
    if machines() > 1:
        here = tf.distribute.get_strategy()
        here.run(
            tf.function(
                lambda: tf.distribute.get_replica_context().all_reduce("SUM", tf.constant(1.0))
            )
        )


class _AcrossMachines(keras.Model):  # type: ignore[misc]  # Keras is untyped
    """
    A model that Keras 3.15 fits under MultiWorkerMirroredStrategy.

    As it is, `fit` fails twice: it builds the metrics from a batch that is spread over the machines
    ("Attempt to convert a value (PerReplica...) to a Tensor"), and averages each step's numbers
    along an axis that they have not got ("Invalid reduction dimension 0 for input with 0
    dimensions").
    """

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:  # noqa: ANN401 - as Keras hands it on
        """Run Keras's own step, its numbers with an axis."""
        return {name: tf.reshape(value, (1,)) for name, value in super().train_step(data).items()}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:  # noqa: ANN401 - as Keras hands it on
        """Run Keras's own step, its numbers with an axis."""
        return {name: tf.reshape(value, (1,)) for name, value in super().test_step(data).items()}

    # Keras passes both by name.
    def _maybe_symbolic_build(self, iterator: object = None, data_batch: object = None) -> None:  # noqa: ARG002
        example = (
            np.zeros((1, *self.input_shape[1:]), np.float32),
            np.zeros((1, *self.output_shape[1:]), np.float32),
        )
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=example)
