"""`mammo-edge bench`: what is timed, never how fast it is."""

import json
import shutil
from pathlib import Path

import pytest

from edge.cli import bench, main
from edge.cli.bench import STEPS, Bench
from edge.config.settings import Settings
from tests.support.films import FILM


@pytest.fixture(scope="module")
def loaded() -> Bench:
    return Bench(Settings(), None)


def test_a_film_is_timed_step_by_step_beside_the_bare_network(loaded: Bench) -> None:
    measured = loaded.measure(FILM, rounds=2)
    assert (measured.rejected, measured.format) == (None, "jpeg")
    assert tuple(measured.steps) == STEPS
    assert all(
        0 < spread.lowest <= spread.median <= spread.highest for spread in measured.steps.values()
    )
    decode, prepare, infer, total, bare = (measured.steps[step] for step in STEPS)
    assert total.highest >= decode.lowest + prepare.lowest + infer.lowest
    assert bare.lowest > 0


def test_a_file_that_is_rejected_has_a_reason_and_no_times(loaded: Bench, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no picture")
    measured = loaded.measure(tmp_path / "text", rounds=2)
    assert measured.rejected is not None
    assert measured.rejected.startswith("unsupported format: expected DICOM")
    assert bench.as_json(measured)["median_lowest_highest_ms"] == {}


def test_the_command_measures_the_bundles_own_pictures_or_the_files_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main.main(["bench", "--json", "--rounds", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [Path(file["path"]).parent.name for file in report["files"]] == ["known"] * len(
        report["files"]
    )
    assert {"machine", "software", "model"} < report.keys()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_bytes(b"no picture")
    shutil.copy(FILM, "film.jpg")
    assert main.main(["bench", "--rounds", "1", "film.jpg", "text"]) == 0
    head, *rows, notice = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["file", "MP", "decode"]
    assert any(row.startswith("film.jpg  ") for row in rows)
    assert any(row.startswith("text  ") and "unsupported format" in row for row in rows)
    assert notice.startswith("Research software, not a medical device.")
