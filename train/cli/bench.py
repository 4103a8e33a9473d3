"""The command `mammo-train bench`."""

import argparse

from train import recipes
from train.cli import arguments
from train.cli.arguments import Commands
from train.data import datasets
from train.progress import hushed
from train.run_folder import RunFolder


def add(commands: Commands) -> None:
    """Add the command and its arguments."""
    command = arguments.command(
        commands,
        "bench",
        "Images a second of preparing, of the input pipeline and of the training step",
    )
    arguments.add_recipe_and_data(command)
    command.add_argument(
        "--batches",
        type=arguments.positive,
        default=20,
        metavar="N",
        help="batches the clock runs for (default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure preparing, input pipeline and training step."""
    from train.data.prepare import prepared

    with hushed():  # TensorFlow greets
        from train.fitting.throughput import bench

    run, chosen = RunFolder(options.out), recipes.load(options.recipe)
    bench(
        chosen, prepared(datasets.load(options.data), chosen.input, run.cache), run, options.batches
    )
