"""
Training and serving see the same pixels, to the last bit: what `prepare` caches is what the
daemon's worker hands to the engine.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.domain import InputSpec, Rejection
from edge.inference import examiner as examine
from edge.inference.engine import Engine, Scores
from edge.inference.image import Limits
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from tests.support.films import deep, demo_files, dicom, film
from tests.support.tools import DATA
from train.data import datasets, films, prepare
from train.data.films import model_input, prepare_film

BUNDLE = verify(shipped_bundle())
FILES = sorted(DATA.glob("*.jpg"))


@dataclass
class Recorder:
    """An engine that keeps what it is given."""

    inner: Engine
    tensors: list[NDArray[np.float32]] = field(default_factory=list)

    def infer(self, tensor: NDArray[np.float32]) -> Scores:
        self.tensors.append(tensor.copy())
        return self.inner.infer(tensor)


@pytest.fixture(scope="module")
def examiner() -> examine.Examiner:
    loaded = examine.Examiner(BUNDLE, "auto", 1, None, Limits())
    recording: Any = Recorder(loaded.engine)
    loaded.engine = recording
    return loaded


def served(examiner: examine.Examiner, path: Path) -> NDArray[np.float32]:
    """What the worker hands to the engine for a file."""
    outcome = examiner.examine(path)
    assert not (isinstance(outcome, Rejection) and outcome.timing.infer == 0), outcome
    recording: Any = examiner.engine
    tensor: NDArray[np.float32] = recording.tensors[-1]
    return tensor


def written(folder: Path) -> list[Path]:
    """Real films as JPEG, as RLE DICOM of a film digitiser, as 12-bit DICOM and as MONOCHROME1."""
    pixels, dark = deep(film().pixels, 12), 255 - film().pixels
    made = {
        "deep.dcm": dicom(pixels, BitsStored=12, HighBit=11),
        "dark.dcm": dicom(dark, PhotometricInterpretation="MONOCHROME1"),
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return [*FILES, next(demo_files()), *(folder / name for name in made)]


def test_training_prepares_with_the_daemon_s_own_functions() -> None:
    for name in ("prepare", "open_mammogram"):
        assert vars(films)[name] is vars(examine)[name]


def test_a_film_in_training_is_bit_for_bit_the_tensor_that_the_worker_infers_from(
    examiner: examine.Examiner, tmp_path: Path
) -> None:
    for number, path in enumerate(written(tmp_path)):
        trained = prepare_film(
            datasets.Film(path=path, name=path.name, label="benign", patient=str(number)),
            BUNDLE.manifest.input,
        )
        assert trained.tensor.dtype == np.float32
        assert trained.tensor.tobytes() == served(examiner, path).tobytes(), path.name


def test_the_cache_is_that_tensor_rounded_to_half_precision_and_nothing_else(
    examiner: examine.Examiner, tmp_path: Path
) -> None:
    spec = BUNDLE.manifest.input
    rows = [
        f"{path},{'malignant' if number else 'benign'},p{number}"
        for number, path in enumerate(written(tmp_path)[:4])
    ]
    (tmp_path / "index.csv").write_text("\n".join(["path,label,patient", *rows]) + "\n")
    cached = prepare.prepared(datasets.load(tmp_path / "index.csv"), spec, tmp_path / "cache")
    assert len(cached.films) == 4
    for image, one in zip(cached.images, cached.films, strict=True):
        tensor = served(examiner, one.path)
        rounded = ((tensor[0, :, :, 0] - spec.low) / (spec.high - spec.low)).astype(np.float16)
        assert image.tobytes() == rounded.tobytes(), one.name
        np.testing.assert_allclose(model_input(image, spec), tensor, atol=half_step(spec), rtol=0)


def half_step(spec: InputSpec) -> float:
    """Half the distance of two float16 numbers just below 1, in the model's range."""
    return float(np.finfo(np.float16).epsneg) / 2 * (spec.high - spec.low)


def test_another_preparation_would_be_noticed(examiner: examine.Examiner) -> None:
    other = replace(BUNDLE.manifest.input, percentile_high=99.4)
    changed = prepare_film(
        datasets.Film(path=FILES[0], name="film", label="benign", patient="p"), other
    ).tensor
    assert changed.tobytes() != served(examiner, FILES[0]).tobytes()
