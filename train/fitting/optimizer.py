"""The way from a phase's numbers to Keras's optimizer, loss and learning-rate schedule."""

from typing import Final

import keras

from train.recipe import Phase

FINAL_SHARE: Final = 0.1
"""The end of the cosine, as a share of the learning rate."""


def compile_for(classifier: keras.Model, phase: Phase, steps: int) -> None:
    """
    Make the classifier ready for one phase, with a new optimizer.

    Args:
        classifier: from image to probability (batch, 1).
        phase: optimizer, rate, decay, smoothing.
        steps: batches an epoch.
    """
    classifier.compile(
        optimizer(phase, steps),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=phase.label_smoothing),
        weighted_metrics=[
            keras.metrics.BinaryAccuracy(name="accuracy"),
            keras.metrics.AUC(num_thresholds=1000, name="auc"),
        ],
        # XLA, which Keras's "auto" may choose, is an order of magnitude slower on the CPU.
        jit_compile=False,
    )


def optimizer(phase: Phase, steps: int) -> keras.optimizers.Optimizer:
    """Make Adam, or AdamW whose decay spares biases, batch norm and auto-pool's sharpness."""
    options = {
        "learning_rate": rate(phase, steps),
        "global_clipnorm": phase.clip_norm,
        "use_ema": phase.ema is not None,
        "ema_momentum": phase.ema or 0.0,
    }
    if phase.optimizer == "adam":
        return keras.optimizers.Adam(**options)
    adamw = keras.optimizers.AdamW(weight_decay=phase.weight_decay, **options)
    adamw.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "sharpness"])
    return adamw


def rate(phase: Phase, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """
    Make a constant rate, or one that goes up in a line and down along a cosine.

    It is a function of the step, so that it goes on where the optimizer does.
    """
    warmup = round(min(phase.warmup_epochs, phase.epochs) * steps)
    if not phase.decay and not warmup:
        return phase.learning_rate
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else phase.learning_rate,
        decay_steps=max(1, phase.epochs * steps - warmup),
        alpha=FINAL_SHARE if phase.decay else 1.0,
        warmup_target=phase.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
