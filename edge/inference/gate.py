"""
The input gate: a picture that is no mammogram gets no score.

Serving and training both use this file, so they cannot differ.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import ImageRejected, ModelError, Reason
from edge.inference.preprocess import Batch
from edge.models.manifest import FeatureGate, Gate

DIGITS: Final = 6
"""Most digits behind the decimal point of a percentage."""


class InputGate:
    """
    The gate of one model file, loaded.

    Args:
        gate: from the manifest.
        folder: of the bundle, for the weights of the boundary.
        features: shape of the model's features, (1, channels), where it gives them.

    Raises:
        ModelError: the weights are not what the manifest says.
    """

    def __init__(self, gate: Gate, folder: Path, features: tuple[int, ...] | None) -> None:
        self._gate = gate
        self._weights = None if gate.features is None else read_weights(folder, gate.features)
        if self._weights is not None and (1, *self._weights.shape) != features:
            msg = (
                f"the gate has {len(self._weights)} weights, the "
                f"model's features have shape {features}"
            )
            raise ModelError(msg)

    def look_at(self, batch: Batch) -> None:
        """
        Compare breast and contrast with the limits, which costs nothing, before the network runs.

        Raises:
            ImageRejected: it does not look like a mammogram, or not like one whole breast.
        """
        gate = self._gate
        fraction, contrast = batch.breast_fraction, batch.contrast
        if not gate.min_breast_fraction <= fraction <= gate.max_breast_fraction:
            low, high = gate.min_breast_fraction, gate.max_breast_fraction
            found, least, most = _percent(fraction, low, high)
            detail = (
                f"the largest bright area covers {found} of the picture, expected {least} to {most}"
            )
            raise ImageRejected(Reason.NOT_A_MAMMOGRAM, detail)
        if contrast < gate.min_contrast:
            found, least = _percent(contrast, gate.min_contrast)
            detail = f"its levels cover {found} of its brightest, expected {least} or more"
            raise ImageRejected(Reason.NOT_A_MAMMOGRAM, detail)
        if batch.fault is not None:
            raise ImageRejected(Reason.NOT_ONE_WHOLE_BREAST, batch.fault)

    def look_at_features(self, features: NDArray[np.float32] | None) -> None:
        """
        Judge the features of the network's one inference; no-op if the bundle has no boundary.

        Args:
            features: shape (channels,).

        Raises:
            ImageRejected: the picture does not look like a mammogram.
        """
        if self._gate.features is None or self._weights is None or features is None:
            return
        score = float(likeness(features[None], self._weights, self._gate.features.bias)[0])
        if not score >= 0:
            detail = (
                "to the network it does not look like one (likeness "
                f"{score:.2f}, expected 0 or more)"
            )
            raise ImageRejected(Reason.NOT_A_MAMMOGRAM, detail)


def _percent(found: float, *limits: float) -> tuple[str, ...]:
    """Name what was found and its limits with as many digits as tell them apart."""
    for digits in range(DIGITS):
        texts = tuple(f"{value:.{digits}%}" for value in (found, *limits))
        if texts[0] not in texts[1:]:
            return texts
    return tuple(f"{value:.{DIGITS}%}" for value in (found, *limits))


def likeness(
    features: NDArray[np.float32], weights: NDArray[np.float32], bias: float
) -> NDArray[np.float64]:
    """
    On which side of the boundary, and how far.

    Args:
        features: shape (n, channels).
        weights: shape (channels,).
        bias: added to each.

    Returns:
        Shape (n,); 0 and more is a mammogram.
    """
    return np.asarray(
        features.astype(np.float64) @ weights.astype(np.float64) + bias, dtype=np.float64
    )


def read_weights(folder: Path, gate: FeatureGate) -> NDArray[np.float32]:
    """
    The weights of the boundary, shape (channels,).

    Raises:
        ModelError: they cannot be read, or are no finite numbers.
    """
    path = folder / gate.weights
    try:
        with path.open("rb") as file:  # np.load would open archives, too
            weights: NDArray[np.float32] = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, MemoryError) as error:
        msg = f"{path}: not the weights of an input gate: {error}"
        raise ModelError(msg) from None
    if weights.dtype != np.float32 or weights.ndim != 1 or not np.isfinite(weights).all():
        msg = (
            f"{path}: found {weights.dtype} of shape {weights.shape}, "
            "expected finite float32 of shape (channels,)"
        )
        raise ModelError(msg)
    return weights
