"""The sample film of `mammo-edge try`, and what keeps it out of the inbox."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cli import main, sample
from edge.cli.setup.ask import agrees
from edge.errors import Unavailable
from edge.models.active import shipped_bundle


def test_each_sample_has_other_bytes_and_the_same_pixels() -> None:
    first, second = sample.sample(), sample.sample()
    assert first != second
    pixels = cv2.imread(str(shipped_bundle() / sample.FILM), cv2.IMREAD_UNCHANGED)
    for film in (first, second):
        read = cv2.imdecode(np.frombuffer(film, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(read, pixels)


def test_an_inbox_that_takes_no_file_is_named_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for inbox, why in (("gone", "No such file or directory"), ("file", "Not a directory")):
        with pytest.raises(Unavailable, match=f"{inbox}: {why}$"):
            sample.drop(tmp_path / inbox, b"film")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("typed", "default", "agreed"),
    [("", True, True), ("", False, False), ("Yes", False, True), ("n", True, False)],
)
def test_an_empty_answer_is_the_default(
    monkeypatch: pytest.MonkeyPatch, typed: str, *, default: bool, agreed: bool
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: typed)
    assert agrees("start the service", default=default) is agreed


def test_a_try_below_another_root_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["setup", "--try", "--broker", "localhost", "--root", str(tmp_path / "root")]
    assert main.main(words) == 78
    assert "found no running systemd" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()
