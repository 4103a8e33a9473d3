"""All commands: found by name, cheap to list, polite when interrupted."""

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from edge.cli import check, exits, main
from edge.cli.parser import make_parser


def functions(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The names of the functions of all commands."""
    if command := parser.get_default("command"):
        yield command
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from functions(below)


@pytest.mark.parametrize("name", list(functions(make_parser())))
def test_every_command_of_the_parser_has_its_function(name: str) -> None:
    assert callable(main.command_of(name))


def helps(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The function and the help of each command, and of the groups of commands."""
    yield parser.get_default("command") or "", " ".join(parser.format_help().split())
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from helps(below)


def test_every_help_says_what_each_exit_status_means() -> None:
    found = list(helps(make_parser()))
    assert {command for command, _ in found} > set(exits.OF_COMMANDS)
    for command, text in found:
        for status in exits.MEANINGS:
            meaning = exits.OF_COMMANDS.get(command, {}).get(status, exits.MEANINGS[status])
            assert (f" {status} {meaning}" in text) is bool(meaning), (command, status)


def test_the_parser_imports_neither_pydantic_nor_a_command() -> None:
    code = "import edge.cli.main as m, sys; m.make_parser(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "edge.cli.parser" in loaded
    assert {"pydantic", "edge.config.settings", "edge.cli.check"}.isdisjoint(loaded)


def test_a_command_that_is_interrupted_says_so_in_one_line_and_exits_as_shells_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "load", interrupt)
    assert main.main(["check"]) == 130
    assert capsys.readouterr() == ("", "mammo-edge: interrupted\n")
