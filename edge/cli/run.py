"""`mammo-edge run`: the daemon itself."""

from argparse import Namespace

from edge.config.load import load, read_environment
from edge.daemon import app


def run(arguments: Namespace) -> int:
    """Be the daemon until SIGTERM; returns the exit status."""
    overrides = read_environment()
    app.run(load(arguments.config, overrides), lambda: load(arguments.config, overrides))
    return 0
