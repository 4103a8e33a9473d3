"""
What is not a mammogram is turned away: by its outline before the network runs, by the network's
features after.
"""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.domain import Box
from edge.errors import ImageRejected, ModelError, Reason
from edge.inference.gate import InputGate
from edge.inference.geometry import Geometry
from edge.inference.preprocess import Batch
from edge.models.manifest import FeatureGate, Gate

GEOMETRY = Geometry(
    10, 10, flipped=False, box=Box(0, 0, 10, 10), top=0, left=0, height=10, width=10
)
BATCH = Batch(np.zeros((1, 10, 10, 1), np.float32), GEOMETRY, breast_fraction=0.4, contrast=0.5)
LIMITS = Gate(min_breast_fraction=0.1, max_breast_fraction=0.8, min_contrast=0.2)
BOUNDARY = LIMITS.model_copy(update={"features": FeatureGate(weights="gate.npy", bias=-1.0)})


def with_boundary(folder: Path) -> InputGate:
    np.save(folder / "gate.npy", np.array([1.0, -2.0], np.float32))
    return InputGate(BOUNDARY, folder, (1, 2))


@pytest.mark.parametrize("fraction", [0.05, 0.85])
def test_an_outline_outside_the_limits_is_rejected(fraction: float, tmp_path: Path) -> None:
    with pytest.raises(
        ImageRejected, match=r"not a mammogram: .* covers \d+% .* expected 10% to 80%"
    ):
        InputGate(LIMITS, tmp_path, None).look_at(replace(BATCH, breast_fraction=fraction))


def test_a_flat_picture_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        ImageRejected, match="its levels cover 10% of its brightest, expected 20% or more"
    ):
        InputGate(LIMITS, tmp_path, None).look_at(replace(BATCH, contrast=0.1))


def test_a_share_just_outside_a_limit_is_told_with_digits_that_show_it(tmp_path: Path) -> None:
    with pytest.raises(ImageRejected, match=r"covers 9\.98% of the picture, expected 10\.00% to"):
        InputGate(LIMITS, tmp_path, None).look_at(replace(BATCH, breast_fraction=0.0998))


def test_what_is_not_one_whole_breast_is_rejected_with_what_was_seen(tmp_path: Path) -> None:
    with pytest.raises(ImageRejected, match="not one whole breast: no chest wall") as rejected:
        InputGate(LIMITS, tmp_path, None).look_at(replace(BATCH, fault="no chest wall"))
    assert rejected.value.reason is Reason.NOT_ONE_WHOLE_BREAST


def test_what_is_inside_the_limits_passes(tmp_path: Path) -> None:
    gate = InputGate(LIMITS, tmp_path, None)
    gate.look_at(BATCH)
    gate.look_at_features(None)


def test_features_on_the_wrong_side_are_rejected_with_their_likeness(tmp_path: Path) -> None:
    with pytest.raises(ImageRejected, match=r"likeness -1\.50, expected 0") as rejected:
        with_boundary(tmp_path).look_at_features(np.array([1.5, 1.0], np.float32))
    assert rejected.value.reason is Reason.NOT_A_MAMMOGRAM


def test_features_on_the_right_side_pass(tmp_path: Path) -> None:
    with_boundary(tmp_path).look_at_features(np.array([1.0, 0.0], np.float32))


def test_features_that_are_no_numbers_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ImageRejected):
        with_boundary(tmp_path).look_at_features(np.array([np.nan, 0.0], np.float32))


def test_weights_for_other_features_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "gate.npy", np.zeros(3, np.float32))
    with pytest.raises(ModelError, match=r"3 weights, the model's features have shape \(1, 2\)"):
        InputGate(BOUNDARY, tmp_path, (1, 2))


@pytest.mark.parametrize(
    "weights", [np.zeros(2), np.zeros((1, 2), np.float32), np.full(2, np.inf, np.float32)]
)
def test_weights_of_another_kind_are_refused(
    weights: np.ndarray[tuple[int, ...], np.dtype[np.generic]], tmp_path: Path
) -> None:
    np.save(tmp_path / "gate.npy", weights)
    with pytest.raises(ModelError, match=r"expected finite float32 of shape \(channels,\)"):
        InputGate(BOUNDARY, tmp_path, (1, 2))


def archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, weights=np.zeros(2, np.float32))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"no array", b"", archive(), b"PK\x03\x04 a broken archive"],
    ids=["text", "empty", "npz", "zip"],
)
def test_weights_that_are_no_array_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "gate.npy").write_bytes(data)
    with pytest.raises(ModelError, match="not the weights of an input gate"):
        InputGate(BOUNDARY, tmp_path, (1, 2))
