"""The command `mammo-train prepare`."""

import argparse
from contextlib import nullcontext

from train import recipes
from train.cli import arguments
from train.cli.arguments import Commands
from train.data import datasets
from train.run_folder import RunFolder


def add(commands: Commands) -> None:
    """Add the command and its arguments."""
    command = arguments.command(
        commands,
        "prepare",
        "Decode and prepare all images once, in parallel (fit does this too; resumable)",
    )
    arguments.add_recipe_and_data(command)
    command.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="do it on a Dask cluster: tcp://host:8786, or `local` to start one here",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Decode and prepare all images of the data."""
    from train.data.dask import on_cluster
    from train.data.parallel import on_this_machine
    from train.data.prepare import prepared

    index, spec, cache = (
        datasets.load(options.data),
        recipes.load(options.recipe).input,
        RunFolder(options.out).cache,
    )
    with on_cluster(options.cluster) if options.cluster else nullcontext(on_this_machine) as engine:
        prepared(index, spec, cache, engine)
