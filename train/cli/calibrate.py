"""The command `mammo-train calibrate`."""

import argparse
from pathlib import Path

from train.cli import arguments
from train.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command and its arguments."""
    command = arguments.command(
        commands,
        "calibrate",
        "Fit calibration, thresholds and gate of a bundle to a "
        "site's own mammograms, or to verdicts on its scores, without training",
    )
    command.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="folder of a model bundle; it is not changed"
    )
    command.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="DATA",
        help="mammograms of the site with their labels, as for `fit`",
    )
    command.add_argument(
        "--pairs",
        type=Path,
        metavar="LEDGER",
        help="instead: a device's state folder, or a copy, with verdicts on images to fit to",
    )
    command.add_argument(
        "--prevalence",
        type=arguments.share,
        metavar="P",
        help="shift the probabilities to this share of malignant images, 0 to 1",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=(
            "takes the new bundle as DIR/bundle and the report "
            "(default: beside BUNDLE, with the suffix)"
        ),
    )
    command.add_argument(
        "--suffix",
        type=arguments.suffix,
        default="site",
        metavar="NAME",
        help="appended to the version: 1.0.0+NAME (default: %(default)s)",
    )
    command.add_argument(
        "--not-mammograms",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="pictures on which to measure what the gate catches",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Fit the bundle to the site's mammograms or verdicts."""
    from train.recalibration import recalibrate

    folder = options.bundle.resolve()
    request = recalibrate.Request(
        bundle=options.bundle,
        data=options.data,
        pairs=options.pairs,
        prevalence=options.prevalence,
        out=options.out or folder.parent / f"{folder.name}-{options.suffix}",
        suffix=options.suffix,
        not_mammograms=options.not_mammograms,
        command=options.typed,
    )
    recalibrate.calibrate_site(request)
