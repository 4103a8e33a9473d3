"""What the journal reads."""

import logging
from pathlib import Path

import pytest

from edge.system import logs


def written(file: Path, failure: Exception | None = None) -> list[str]:
    """One warning, with a traceback where there is a failure."""
    with file.open("w") as stream:
        logger = logging.Logger("edge.x")  # noqa: LOG001 - one that no other test sees
        logger.addHandler(logs.handler(stream))
        logger.warning("event=away", exc_info=failure)
    return file.read_text().splitlines()


def test_under_systemd_every_line_carries_its_priority_a_traceback_s_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "stderr").touch()
    found = (tmp_path / "stderr").stat()
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    first, *rest = written(tmp_path / "stderr", ValueError("x"))
    assert first == "<4>level=WARNING module=edge.x event=away"
    assert rest == ["<4>ValueError: x"]


@pytest.mark.parametrize("inherited", ["", "9:1"])
def test_elsewhere_there_is_no_priority_though_a_service_above_speaks_to_the_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inherited: str
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", inherited)
    assert written(tmp_path / "stderr") == ["level=WARNING module=edge.x event=away"]
