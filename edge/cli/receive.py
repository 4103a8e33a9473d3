"""`mammo-edge receive`: the DICOM receiver, a process beside the daemon."""

from argparse import Namespace
from importlib import import_module

from edge.config.load import load
from edge.system import extras


def run(arguments: Namespace) -> int:
    """
    Receive until SIGTERM; returns the exit status.

    Raises:
        ConfigError: the configuration is refused, or the library is missing.
    """
    settings = load(arguments.config)
    extras.require(["pynetdicom"], "dicom", "receive")
    import_module("edge.dicom.receive.process").run(settings)
    return 0
