"""Questions about the way into a broker on another machine: TLS, user and password."""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.cli.setup.certificates import pem
from edge.cli.setup.plan import TLS_SCHEMES, host_and_port
from edge.errors import ConfigError
from edge.mqtt.tls import is_loopback

NONE = "none"


@dataclass(frozen=True, slots=True)
class Access:
    """The answers about a broker's access; None keeps the configuration's value."""

    username: str | None = None
    password: str | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def ask_for_access(given: Access, said: str | None, known: Mapping[str, Any]) -> Access:
    """
    Ask for what was not given.

    A broker on this machine needs none of it. Without TLS no user is asked for, since no password
    goes to another machine in clear.

    Args:
        given: answers from the command line.
        said: the broker; None keeps the configuration's.
        known: the table `broker` of the configuration.
    """
    host = host_and_port(said)[0] if said else known.get("host", "localhost")
    if is_loopback(host):
        return given
    tls = known.get("tls", {})
    ca = given.ca or _file("ca, which turns TLS on", "ca", tls)
    over_tls = (said or "").lower().startswith(TLS_SCHEMES) or tls.get("enabled", False)
    if not (ca or over_tls):
        return given
    cert = given.cert or _file("cert", "cert", tls)
    key = given.key or (_file("key", "key", tls, needed=True) if cert else None)
    username = given.username or input(f"username [{known.get('username', NONE)}]: ").strip()
    password = given.password
    if username and password is None:
        password = getpass.getpass("password, which is not shown: ") or None
    return Access(username or None, password, ca, cert, key)


def _file(
    question: str, what: str, known: Mapping[str, Any], *, needed: bool = False
) -> Path | None:
    """Ask for a PEM file until one can be read; an empty answer keeps what is known."""
    while True:
        answer = input(f"{question}: a file in PEM [{known.get(what, NONE)}]: ").strip()
        if not answer and (what in known or not needed):
            return None
        if not answer:
            print(f"{what}: found no answer, expected a file: certificate and key belong together")
            continue
        try:
            pem(what, path := Path(answer).expanduser())
        except ConfigError as error:
            print(error)
        else:
            return path
