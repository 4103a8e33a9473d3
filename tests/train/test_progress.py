"""A person who watches a command sees its own lines, and those of C++ only if something fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from train.progress import STDERR, hushed


def test_what_cpp_writes_is_kept_off_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with hushed():
        os.write(STDERR, b"I0000 could not find cuda drivers\n")
    os.write(STDERR, b"a line of ours\n")
    assert capfd.readouterr().err == "a line of ours\n"


def test_it_is_shown_if_the_block_raises(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="it broke"):
        _fail_with_a_reason()
    assert capfd.readouterr().err == "the reason\n"


def test_commands_that_load_tensorflow_say_nothing_of_it(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("mammo-train")
    command = [str(program), "evaluate", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("mammo-train: ")


@hushed()
def _fail_with_a_reason() -> None:
    os.write(STDERR, b"the reason\n")
    msg = "it broke"
    raise ValueError(msg)
