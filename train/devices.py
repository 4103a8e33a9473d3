"""One device or several: with several, each takes its share of every batch, and all hold the same weights."""

import tensorflow as tf

from train.errors import TrainError


def strategy(devices: int | None, batch_size: int) -> tf.distribute.Strategy:
    """
    How to spread the training over the devices of this machine.

    Args:
        devices: how many; None: all GPUs, or the CPU where there is none.
        batch_size: of the recipe; it stays what it is, and is shared out.

    Returns:
        Its `scope()` is where the network is built and trained.

    Raises:
        TrainError: there are not so many devices, or the batch cannot be shared out evenly.
    """
    gpus, cpus = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    found = [device.name for device in gpus or cpus]
    count = devices or max(1, len(gpus))
    if count > len(found):
        msg = f"--devices {count}: TensorFlow sees {len(found)} ({', '.join(found)})"
        raise TrainError(msg)
    if batch_size % count:
        msg = f"batches of {batch_size} images cannot be shared out evenly over {count} devices; choose --devices, or another batch_size"
        raise TrainError(msg)
    return tf.distribute.get_strategy() if count == 1 else tf.distribute.MirroredStrategy(found[:count])
