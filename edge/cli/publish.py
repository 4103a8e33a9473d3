"""`mammo-edge model publish` and `withdraw`: bundles for devices, retained at the broker."""

from argparse import Namespace

from edge.cli.output import print_report
from edge.config.load import load
from edge.config.paths import DEFAULT_CONFIG, credential_of
from edge.models.transfer.publisher import publish, withdraw


def run_publish(arguments: Namespace) -> int:
    """Announce a bundle and hand it out in chunks; returns the exit status."""
    stored = credential_of(arguments.config or DEFAULT_CONFIG)
    report = publish(load(arguments.config), arguments.bundle, arguments.to, stored)
    return print_report(arguments, report)


def run_withdraw(arguments: Namespace) -> int:
    """Clear the announcement and the chunks; returns the exit status."""
    stored = credential_of(arguments.config or DEFAULT_CONFIG)
    return print_report(arguments, withdraw(load(arguments.config), arguments.to, stored))
