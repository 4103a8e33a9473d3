"""`mammo-edge receive`: the DICOM receiver, a process beside the daemon."""

from argparse import Namespace
from importlib import import_module
from importlib.util import find_spec

from edge.config.load import load
from edge.errors import ConfigError


def run(arguments: Namespace) -> int:
    """
    Receive until SIGTERM; returns the exit status.

    Raises:
        ConfigError: the configuration is refused, or the extra `dicom` is missing.
    """
    settings = load(arguments.config)
    if find_spec("pynetdicom") is None:
        msg = (
            "receive: pynetdicom is missing: pip install 'mammo-edge[dicom]', "
            "or DICOM=1 deploy/scripts/install.sh in a checkout"
        )
        raise ConfigError(msg)
    import_module("edge.dicom.receive.process").run(settings)
    return 0
