"""Parsers of `mammo-edge`: the help, and options that every command has."""

import argparse
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edge import NOTICE
from edge.cli import exits
from edge.config.paths import DEFAULT_CONFIG

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction["Parser"]  # noqa: SLF001


class Parser(argparse.ArgumentParser):
    """A parser, and those of its commands, whose help ends with the exit statuses."""

    def format_help(self) -> str:
        """Return the help of argparse, and the exit statuses below."""
        width = shutil.get_terminal_size().columns - 2  # as argparse has it
        statuses = textwrap.fill(exits.told(self.get_default("command") or ""), width)
        return f"{super().format_help()}\n{statuses}\n"


def add_config(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Give a parser the option `--config`."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="PATH",
        default=default,
        help=f"configuration file (default: {DEFAULT_CONFIG})",
    )


def add_json(parser: argparse.ArgumentParser, default: object) -> None:
    """Give a parser the option `--json`."""
    text = "print JSON for programs instead of a table for people"
    parser.add_argument("--json", action="store_true", default=default, help=text)


def add(
    commands: "Commands", name: str, function: str, text: str, *, as_json: bool = True
) -> argparse.ArgumentParser:
    """
    Add a command.

    Args:
        commands: the commands that it becomes one of.
        name: typed by the user.
        function: `module.function` below `edge.cli`.
        text: for the help, without capital and full stop.
        as_json: false if the command has no `--json`.
    """
    sub = commands.add_parser(name, help=text, description=_sentence(text), epilog=NOTICE)
    add_config(sub, argparse.SUPPRESS)
    if as_json:
        add_json(sub, argparse.SUPPRESS)
    sub.set_defaults(command=function)
    return sub


def group(commands: "Commands", name: str, text: str) -> "Commands":
    """Add a command that has commands of its own, and return the place for these."""
    sub = commands.add_parser(name, help=text, description=_sentence(text), epilog=NOTICE)
    add_config(sub, argparse.SUPPRESS)
    add_json(sub, argparse.SUPPRESS)
    return sub.add_subparsers(required=True, metavar="COMMAND")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def positive(text: str) -> int:
    """
    Read an option's number.

    Raises:
        ArgumentTypeError: it is below 1.
    """
    number = int(text)
    if number < 1:
        msg = f"found {number}, expected 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return number
