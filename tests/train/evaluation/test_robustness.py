"""The variants of a film are what their names say, and go through the daemon's own path."""

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.inference.image import Limits, Mammogram, Pixels, open_mammogram
from edge.models.bundle import Bundle, verify
from tests.support.tools import DATA
from train.data.datasets import Film
from train.errors import DataError
from train.evaluation import robustness


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return verify(Path(str(files("edge"))) / "models" / "default")


@pytest.fixture
def pixels() -> Pixels:
    """A picture with an edge, larger than any variant."""
    picture = np.tile(np.linspace(20, 230, 1000).astype(np.uint8), (1200, 1))
    picture[:300] = 10
    return picture


def written(name: str, pixels: Pixels, folder: Path) -> Mammogram:
    """
    A variant as the daemon reads it; decoding goes by the bytes, so that only OpenCV needs the
    ending.
    """
    path = folder / ("film.jpg" if "JPEG" in name else "film.png")
    robustness.VARIANTS[name](pixels, path)
    return open_mammogram(path, Limits())


@pytest.mark.parametrize("name", robustness.VARIANTS)
def test_every_variant_is_a_mammogram_to_the_decoder(
    name: str, pixels: Pixels, tmp_path: Path
) -> None:
    rows, columns = written(name, pixels, tmp_path).pixels.shape
    longest = 800 if "800" in name else 299 if "299" in name else 1200
    assert rows == longest
    assert rows / columns == pytest.approx(1.2, abs=0.01)


def test_inverted_file_that_says_so_comes_back_upright(pixels: Pixels, tmp_path: Path) -> None:
    found = written("inverted, DICOM that says so (MONOCHROME1)", pixels, tmp_path).pixels.astype(
        np.float64
    )
    assert np.corrcoef(found.ravel(), pixels.ravel())[0, 1] == pytest.approx(1)
    assert written("inverted, PNG, which cannot say so", pixels, tmp_path).pixels.max() == 245


def test_twelve_bits_are_lifted_and_keep_every_step(pixels: Pixels, tmp_path: Path) -> None:
    found = written("DICOM of 12 bits, lifted by 200", pixels, tmp_path)
    assert found.facts.bits == 12
    assert len(np.unique(found.pixels)) == len(np.unique(pixels))


def test_deep_pictures_are_mirrored_and_inverted_in_full_depth(
    pixels: Pixels, tmp_path: Path
) -> None:
    deep = pixels.astype(np.uint16) * 200
    assert np.array_equal(written("mirrored", deep, tmp_path).pixels, deep[:, ::-1])
    assert np.array_equal(
        written("inverted, PNG, which cannot say so", deep, tmp_path).pixels, 2**16 - 1 - deep
    )
    assert written("gamma 0.7", deep, tmp_path).pixels.dtype == np.uint8


def test_tone_and_side_are_changed_as_said(pixels: Pixels, tmp_path: Path) -> None:
    assert np.array_equal(written("mirrored", pixels, tmp_path).pixels, pixels[:, ::-1])
    assert (
        written("gamma 0.7", pixels, tmp_path).pixels.mean()
        > pixels.mean()
        > written("gamma 1.4", pixels, tmp_path).pixels.mean()
    )


def test_mirrored_film_scores_the_same_and_a_coarse_one_does_not(shipped: Bundle) -> None:
    paths = [DATA / "cbis-ddsm-benign-cc.jpg", DATA / "cbis-ddsm-benign-mlo.jpg"]
    films = tuple(
        Film(path=path, name=path.name, label="benign", patient=path.stem) for path in paths
    )
    found = robustness.measure(shipped, films, 5, 0)
    assert found["films"] == 2
    assert found["variants"]["mirrored"]["maximum"] < 0.01
    assert (
        found["variants"]["PNG, longest side 299 px"]["maximum"]
        > found["variants"]["mirrored"]["maximum"]
    )


def test_mammograms_of_a_folder_are_taken_and_its_readme_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cbis-ddsm-benign-cc.jpg", "cbis-ddsm-malignant-cc.jpg"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    (tmp_path / "README").write_text("no picture")
    assert [film.name for film in robustness.readable(tmp_path)] == [
        "cbis-ddsm-benign-cc.jpg",
        "cbis-ddsm-malignant-cc.jpg",
    ]
    assert "1 files are no mammograms (README: unsupported format" in capsys.readouterr().err


def test_folder_without_mammograms_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file there"):
        robustness.readable(tmp_path)
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(DataError, match="unsupported format"):
        robustness.readable(tmp_path)


def test_no_film_is_drawn_where_none_is_asked_for(shipped: Bundle) -> None:
    assert robustness.measure(shipped, (), 5, 0) == {}


def test_refused_variant_counts_as_one_half(shipped: Bundle, tmp_path: Path) -> None:
    """A white page is refused in every form."""
    cv2.imwrite(str(tmp_path / "page.png"), np.full((300, 200), 250, np.uint8))
    film = Film(path=tmp_path / "page.png", name="page.png", label="benign", patient="p")
    found = robustness.measure(shipped, (film,), 1, 0)["variants"]["gamma 0.7"]
    assert (found["maximum"], found["taken_differently"]) == (0, 0)
