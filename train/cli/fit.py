"""The command `mammo-train fit`."""

import argparse

from train import recipes
from train.cli import arguments
from train.cli.arguments import Commands
from train.progress import hushed
from train.run_folder import RunFolder


def add(commands: Commands) -> None:
    """Add the command and its arguments."""
    command = arguments.command(
        commands,
        "fit",
        "Train a recipe, or go on with it; keep the epoch best on the validation patients",
    )
    arguments.add_recipe_and_data(command)
    command.add_argument(
        "--weights",
        default="imagenet",
        metavar="FILE",
        help=(
            "imagenet (the default, fetched by Keras), none, or a "
            "file of MobileNetV2 without its top"
        ),
    )
    command.add_argument(
        "--epochs",
        type=arguments.positive,
        metavar="N",
        help="epochs in each phase, instead of the recipe's",
    )
    command.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="of split, weights and augmentation, instead of the recipe's",
    )
    command.add_argument(
        "--devices",
        type=arguments.positive,
        metavar="N",
        help="share every batch out over N GPUs (default: all there are, or the CPU)",
    )
    command.add_argument(
        "--restart",
        action="store_true",
        help="train from the start, even if an interrupted run could go on",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train the recipe, or go on with it."""
    with hushed():  # TensorFlow greets
        from train.fitting import fit

    chosen = recipes.load(options.recipe).changed(options.epochs, options.seed)
    request = fit.Request(
        recipe=chosen,
        data=options.data,
        weights=options.weights,
        command=options.typed,
        devices=options.devices,
        restart=options.restart,
    )
    fit.fit(request, RunFolder(options.out))
