"""What the journal reads."""

import io
import logging

import pytest

from edge import logs


def written(failure: Exception | None = None) -> list[str]:
    """One warning, with a traceback where there is a failure."""
    text, logger = io.StringIO(), logging.Logger("edge.x")  # noqa: LOG001 - one that no other test sees
    logger.addHandler(logs.handler(text))
    logger.warning("event=away", exc_info=failure)
    return text.getvalue().splitlines()


def test_under_systemd_every_line_carries_its_priority_a_traceback_s_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "9:1")
    first, *rest = written(ValueError("x"))
    assert first == "<4>level=WARNING module=edge.x event=away"
    assert rest == ["<4>ValueError: x"]


def test_on_a_terminal_there_is_no_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert written() == ["level=WARNING module=edge.x event=away"]
