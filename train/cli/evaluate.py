"""The command `mammo-train evaluate`."""

import argparse
from pathlib import Path

from train.cli import arguments
from train.cli.arguments import Commands
from train.progress import hushed
from train.run_folder import RunFolder


def add(commands: Commands) -> None:
    """Add the command and its arguments."""
    command = arguments.command(
        commands,
        "evaluate",
        "Score the held-out test patients with the exported bundle: RUN/evaluation",
    )
    arguments.add_run(command)
    arguments.add_data_override(command)
    command.add_argument(
        "--bundle",
        type=Path,
        metavar="DIR",
        help="what to measure (default: RUN/bundle); its default file is",
    )
    command.add_argument(
        "--invariance",
        type=int,
        default=100,
        metavar="N",
        help=(
            "validation films to score also as other files: smaller, darker, "
            "mirrored, ... (default: %(default)s; 0: none)"
        ),
    )
    command.add_argument(
        "--elsewhere",
        type=Path,
        metavar="DIR",
        help="mammograms from elsewhere to score as other files, too",
    )
    command.add_argument(
        "--against",
        type=Path,
        metavar="BUNDLE",
        help="another bundle, as the one served now, to score on the same films",
    )
    command.add_argument(
        "--digital",
        type=Path,
        action="append",
        default=[],
        metavar="DATA",
        help=(
            "data set of digital mammograms that the network has not learnt from, to measure it "
            "on; several are pooled"
        ),
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Score the held-out test patients."""
    with hushed():  # TensorFlow greets
        from train.evaluation import evaluate

    request = evaluate.Request(
        data=options.data,
        bundle=options.bundle,
        invariance=options.invariance,
        elsewhere=options.elsewhere,
        against=options.against,
        digital=options.digital or None,
    )
    evaluate.evaluate(RunFolder(options.run_folder), request)
