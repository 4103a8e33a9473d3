"""The command `mammo-train export`."""

import argparse
from pathlib import Path

from train import recipes
from train.cli import arguments
from train.cli.arguments import Commands
from train.errors import TrainError
from train.progress import hushed
from train.run_folder import RunFolder


def add(commands: Commands) -> None:
    """Add the command and its arguments."""
    command = arguments.command(
        commands,
        "export",
        "Convert to TensorFlow Lite, compare with Keras, calibrate, and write a bundle",
    )
    arguments.add_run(command)
    arguments.add_data_override(command)
    command.add_argument(
        "--bundle", type=Path, metavar="DIR", help="where to write it (default: RUN/bundle)"
    )
    command.add_argument(
        "--bundle-version",
        default="1.0.0",
        metavar="VERSION",
        help="version in the manifest (default: %(default)s)",
    )
    command.add_argument(
        "--tflite-runtime",
        type=Path,
        metavar="PYTHON",
        help="interpreter of an environment with tflite-runtime, to compare that runtime too",
    )
    command.add_argument(
        "--about-data",
        type=Path,
        metavar="FILE",
        help=(
            "text: where the images come from, their licence, their limits; goes "
            "into the bundle as ATTRIBUTION and into the model card"
        ),
    )
    command.add_argument(
        "--not-mammograms",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help=(
            "folder of pictures that are no mammograms, for the input gate to "
            "learn from; without one it has only its limits"
        ),
    )
    command.add_argument(
        "--digital",
        type=Path,
        action="append",
        default=[],
        metavar="DATA",
        help=(
            "data set of digital mammograms that the network has not learnt from: fits gate and "
            "calibration to them and measures the model on them; several are pooled"
        ),
    )
    command.add_argument(
        "--prefer",
        choices=("auto", "float", "int8"),
        default="auto",
        help=(
            "the file the daemon runs if both pass; auto is int8 if it answers as float does "
            "(default: %(default)s)"
        ),
    )
    command.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help=(
            "export this Keras model of your own; RUN is then a "
            "new folder, with --recipe and --data"
        ),
    )
    command.add_argument(
        "--recipe",
        metavar="RECIPE",
        help="of --model: its input, the split and the operating point; a name or a Python file",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Export the run, or a Keras model of your own, as a bundle."""
    from train import wording

    with hushed():  # TensorFlow greets
        from train.exporting import export

    run = RunFolder(options.run_folder)
    request = export.Request(
        data=options.data,
        bundle=options.bundle or run.bundle,
        version=options.bundle_version,
        about_data=wording.about_data(options.about_data),
        tflite_runtime=options.tflite_runtime,
        not_mammograms=options.not_mammograms,
        digital=options.digital or None,
        prefer=options.prefer,
    )
    if options.model is None:
        export.export(run, request)
        return
    if options.recipe is None or not options.data:
        msg = (
            "--model needs --recipe (its input) and --data "
            "(mammograms for calibration and known answers)"
        )
        raise TrainError(msg)
    from train.exporting import keras_model

    export.export_fitted(
        keras_model.adopt(
            options.model, recipes.load(options.recipe), options.data, run, options.typed
        ),
        run,
        request,
    )
