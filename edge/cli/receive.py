"""`mammo-edge receive`: the DICOM receiver, a process beside the daemon."""

from argparse import Namespace
from importlib import import_module

from edge.config.load import load
from edge.errors import ConfigError
from edge.system import extras


def run(arguments: Namespace) -> int:
    """
    Receive until SIGTERM; returns the exit status.

    Raises:
        ConfigError: the configuration is refused, or the library is missing.
    """
    settings = load(arguments.config)
    if not extras.find_pynetdicom():
        msg = f"receive: pynetdicom is missing: {extras.way_to_get_it()}"
        raise ConfigError(msg)
    import_module("edge.dicom.receive.process").run(settings)
    return 0
