"""
`mammo-edge doctor`: every check around the daemon, with a remedy for each fault.

It looks and asks the broker; it changes nothing.
"""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from edge.cli import exits
from edge.cli.check import findings
from edge.cli.doctor import broker, machine
from edge.cli.doctor.coral import SERVICE, accelerator
from edge.cli.doctor.finding import Finding, Level
from edge.cli.output import print_table
from edge.config.load import load
from edge.config.paths import DEFAULT_CONFIG, credential_of, unit_of
from edge.config.settings import Settings


def run(arguments: Namespace) -> int:
    """Print the findings; returns the exit status, 1 if a check failed."""
    config = arguments.config or DEFAULT_CONFIG
    settings = load(arguments.config)
    found = list(examine(settings, stored=credential_of(config), unit=unit_of(config)))
    if arguments.json:
        lines = [{"what": one.what, "level": one.level, "detail": one.detail} for one in found]
        print(json.dumps(lines))
    else:
        print_table(("", "what", "detail"), [(one.level, one.what, one.detail) for one in found])
    return exits.FAILED if any(one.level is Level.FAILED for one in found) else 0


def examine(
    settings: Settings, root: Path = Path("/"), stored: Path | None = None, unit: str = SERVICE
) -> Iterator[Finding]:
    """
    Check one thing after the other.

    Args:
        settings: the configuration.
        root: the folder of `proc`, `sys` and `run`.
        stored: the file of the broker's password that `mammo-edge setup` writes.
        unit: the service with this configuration.
    """
    for what, right, detail in findings(settings, stored):
        yield Finding(what, Level.OK if right else Level.FAILED, detail)
    if settings.uses_broker:
        yield from broker.secrecy(settings, stored)
        yield from broker.connection(settings, stored)
    tls = settings.broker.tls
    if tls.cert is not None:
        yield broker.certificate(tls.cert)
    if tls.ca is not None:
        yield broker.certificate(tls.ca, what="broker's authority", of_several=max)
    yield machine.inbox(settings.inbox.path)
    if settings.intake.folder:
        yield from machine.sender_folders(settings.inbox.path)
    yield machine.watches(root)
    yield machine.disk(settings)
    yield machine.clock(root)
    yield machine.processor(root)
    yield machine.temperature(root)
    yield accelerator(root, settings, unit)
