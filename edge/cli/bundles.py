"""`mammo-edge model sign` and `edgetpu`: work on a bundle's folder, before a device has it."""

from argparse import Namespace

from edge.cli.output import print_report
from edge.models.edgetpu import add
from edge.models.signature import sign


def run_sign(arguments: Namespace) -> int:
    """Sign a bundle; returns the exit status."""
    key = sign(arguments.bundle, arguments.key)
    return print_report(arguments, {"signed": str(arguments.bundle), "key": key})


def run_edgetpu(arguments: Namespace) -> int:
    """Make a bundle with a model compiled for the Coral accelerator; returns the exit status."""
    return print_report(arguments, add(arguments.bundle, arguments.compiled, arguments.out))
