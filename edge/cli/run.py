"""`mammo-edge run`: the daemon itself."""

from argparse import Namespace
from pathlib import Path

from edge.config.last_good import LastGood
from edge.config.load import load, read_environment
from edge.config.paths import DEFAULT_CONFIG
from edge.daemon import process
from edge.daemon.app import Daemon
from edge.daemon.configuration import Configuration
from edge.errors import ConfigError


def run(arguments: Namespace) -> int:
    """Be the daemon until SIGTERM; returns the exit status."""
    process.run(configuration(arguments.config), Daemon)
    return 0


def configuration(config: Path | None) -> Configuration:
    """
    Read the configuration, or find the one that worked last if that is refused.

    Args:
        config: the file; None for the usual one.

    Raises:
        ConfigError: it is refused, and no other may stand in.
    """
    overrides = read_environment()
    file = config or DEFAULT_CONFIG
    last = LastGood(file, overrides)
    refused = None
    try:
        settings = load(config, overrides)
    except ConfigError as error:
        settings, refused = last.instead_of(error), str(error)
    return Configuration(settings, lambda: load(config, overrides), last.keep, refused, file)
