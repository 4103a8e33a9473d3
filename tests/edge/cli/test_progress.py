"""The progress bar of `classify`: for a person who waits, and nobody else."""

import sys
from pathlib import Path

import pytest

from tests.support.rig import PROGRAM, film, run_command
from tests.support.terminal import Terminal

DRAW = """
from edge.cli.progress import Progress
with Progress({total}) as progress:
    for _ in range({total}):
        progress.step()
    print("now", flush=True)
"""


def test_several_files_have_a_bar_and_results_are_where_they_were_sent(tmp_path: Path) -> None:
    films, table = tmp_path / "films", tmp_path / "table"
    films.mkdir()
    for number in range(2):
        (films / f"{number}.png").write_bytes(film(number))
    with Terminal(PROGRAM, "classify", films, output=table) as terminal:
        assert terminal.ended() == 0
    said = terminal.said
    begun, half, done = (said.index(f"{number} of 2 files") for number in range(3))
    assert begun < half < done
    assert " s left" in said[half:done]
    assert said.endswith("\r\x1b[K")
    assert "0.png" in table.read_text()
    assert "of 2 files" not in table.read_text()


@pytest.mark.parametrize(("total", "drawn"), [(1, False), (2, True), (0, False)])
def test_a_single_file_has_no_bar(total: int, *, drawn: bool) -> None:
    with Terminal(Path(sys.executable), "-c", DRAW.format(total=total)) as terminal:
        assert terminal.ended() == 0
    assert ("[" in terminal.said) is drawn
    assert terminal.said.strip("\r\n").endswith("\x1b[K" if drawn else "now")


def test_without_a_terminal_there_is_no_bar(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text(f"no picture {number}")
    ended = run_command("classify", tmp_path)
    assert ended.returncode == 0
    assert "of 2 files" not in ended.stderr
