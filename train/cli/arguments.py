"""The arguments that several commands of `mammo-train` share, and types of arguments."""

import argparse
import re
from pathlib import Path
from typing import TypeAlias

from train import recipes

# argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
"""The commands that a parser has so far, as `add_subparsers` returns them."""


def command(commands: Commands, name: str, text: str) -> argparse.ArgumentParser:
    """Add a command with a sentence of help."""
    return commands.add_parser(name, help=text, description=text)


def add_recipe_and_data(command: argparse.ArgumentParser) -> None:
    """Add RECIPE, --data and --out."""
    command.add_argument(
        "recipe",
        metavar="RECIPE",
        help=f"{', '.join(recipes.names())}, or a Python file of your own that sets RECIPE",
    )
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        action="append",
        metavar="DATA",
        help="data set, see above; several are pooled",
    )
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of this run; made if needed",
    )


def add_run(command: argparse.ArgumentParser) -> None:
    """Add RUN, the folder of a finished run."""
    command.add_argument("run_folder", type=Path, metavar="RUN", help="the --out of `fit`")


def add_data_override(command: argparse.ArgumentParser) -> None:
    """Add --data, for data that were moved."""
    command.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="DATA",
        help="where the data are now, if not where `fit` found them",
    )


def positive(text: str) -> int:
    """Read a whole number from 1 up."""
    number = int(text)
    if number < 1:
        msg = f"{number} is not positive"
        raise argparse.ArgumentTypeError(msg)
    return number


def suffix(text: str) -> str:
    """Read a version's suffix: letters, digits, dots and hyphens."""
    if not re.fullmatch(r"[0-9A-Za-z.-]+", text):
        msg = f"{text!r}: expected letters, digits, dots and hyphens"
        raise argparse.ArgumentTypeError(msg)
    return text


def share(text: str) -> float:
    """Read a number between 0 and 1, both excluded."""
    number = float(text)
    if not 0 < number < 1:
        msg = f"{text} is not between 0 and 1"
        raise argparse.ArgumentTypeError(msg)
    return number
