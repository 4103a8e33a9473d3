"""What every command has in common."""

import pytest

from edge.cli import check, main


def test_a_command_that_is_interrupted_says_so_in_one_line_and_exits_as_shells_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "load", interrupt)
    assert main.main(["check"]) == 130
    assert capsys.readouterr() == ("", "mammo-edge: interrupted\n")
