"""The command `mammo-train report`."""

import argparse
from pathlib import Path

from train.cli import arguments
from train.cli.arguments import Commands
from train.run_folder import RunFolder


def add(commands: Commands) -> None:
    """Add the command and its arguments."""
    command = arguments.command(
        commands,
        "report",
        "Write RUN/report.html, one page with every number and curve, and the model card",
    )
    arguments.add_run(command)
    command.add_argument(
        "--card",
        type=Path,
        metavar="FILE",
        help="where to write the model card (default: RUN/model-card.md)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the report and the model card."""
    from train.reporting import report

    run = RunFolder(options.run_folder)
    report.report(run, options.card or run.root / "model-card.md")
