"""The command `mammo-train index`."""

import argparse
from pathlib import Path

from train.cli import arguments
from train.cli.arguments import Commands
from train.data import datasets


def add(commands: Commands) -> None:
    """Add the command and its arguments."""
    command = arguments.command(
        commands, "index", "Write what a data set says as an index CSV, to look at or to edit"
    )
    command.add_argument("data", type=Path, metavar="DATA", help="a data set, as for --data")
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the CSV to write; lesion boxes go beside it",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the index CSV."""
    from train.data import index_file

    index_file.write(datasets.load(options.data), options.out)
