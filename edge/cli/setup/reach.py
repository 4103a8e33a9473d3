"""A first try of the broker, right after the answers about it and before anything is written."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.cli.setup.certificates import FOLDER
from edge.cli.setup.plan import Answers, plan
from edge.config.network import Broker
from edge.errors import ConfigError
from edge.mqtt.tls import tls_context

REACH_S: Final = 5.0
"""Seconds to wait for a connection, and again for TLS."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A sentence on why a broker cannot be used."""

    why: str
    of_access: bool
    """True if certificates, user or password are to blame; otherwise the broker's address is."""


def fault(answers: Answers, root: Path) -> Fault | None:
    """
    Connect to the broker of the answers, over TLS if they say so; None if that works.

    User and password are not tried yet: at the end of `setup` the daemon's own client does that.

    Raises:
        ConfigError: the answers make no configuration, whatever the broker does.
    """
    broker = _broker(answers, root)
    try:
        context = tls_context(broker) if broker.tls.enabled else None
    except ConfigError as error:
        return Fault(str(error), of_access=True)
    where = f"{broker.host} port {broker.port}"
    try:
        connection = socket.create_connection((broker.host, broker.port), REACH_S)
    except OSError as error:
        return Fault(_unreached(where, error), of_access=False)
    with connection:
        try:
            if context:
                context.wrap_socket(connection, server_hostname=broker.host).close()
        except ssl.SSLCertVerificationError as error:
            why = f"{where} shows a certificate that we do not trust: {error.verify_message}"
            return Fault(why, of_access=True)
        except OSError as error:
            said = getattr(error, "reason", None) or error.strerror or error
            return Fault(f"{where} answers, and not in TLS: {said}", of_access=True)
    return None


def _broker(answers: Answers, root: Path) -> Broker:
    """Return the broker's section as it will be, with certificates where they lie now."""
    planned = plan(answers, root, lambda _: [])[1].broker
    lies = {}
    for what in ("ca", "cert", "key"):
        given = getattr(answers, what)
        path = given or getattr(planned.tls, what)
        if path and (given is None or given.is_relative_to(FOLDER)):
            path = root / str(path).lstrip("/")
        lies[what] = path
    return planned.model_copy(update={"tls": planned.tls.model_copy(update=lies)})


def _unreached(where: str, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"no address is known of {where}"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {where}"
    if isinstance(error, TimeoutError):
        return f"no answer from {where} within {REACH_S:.0f} s"
    return f"{where} cannot be reached from here: {error.strerror or error}"
