"""`mammo-edge page`: the page for browsers, a process beside the daemon."""

import sys
from argparse import Namespace
from getpass import getpass
from importlib import import_module
from typing import Final

from edge.config.load import load
from edge.config.settings import Settings
from edge.errors import ConfigError
from edge.system import extras

LIBRARIES: Final = ("starlette", "uvicorn", "jinja2")


def run(arguments: Namespace) -> int:
    """
    Show the page until SIGTERM, or set token or password; returns the exit status.

    Raises:
        ConfigError: the configuration is refused, the extra `page` is missing, or nobody has access
            yet.
        Unavailable: the address to listen on is taken.
    """
    settings = load(arguments.config)
    extras.require(LIBRARIES, "page", "page")
    if arguments.token:
        _print_token(settings)
    elif arguments.password:
        _set_password(settings)
    else:
        import_module("edge.page.process").run(settings, _tell)
    return 0


def _tell(address: str) -> None:
    """Print the address at once, also into a pipe."""
    print(address, flush=True)


def _print_token(settings: Settings) -> None:
    if not settings.page.local:
        msg = f"page.listen is {settings.page.listen}: browsers elsewhere use --password"
        raise ConfigError(msg)
    token = import_module("edge.page.access").make_token(settings.state.path)
    print(settings.page.url(settings.page.port, token))


def _set_password(settings: Settings) -> None:
    if settings.page.local:
        msg = f"page.listen is {settings.page.listen}: browsers on this machine use --token"
        raise ConfigError(msg)
    import_module("edge.page.access").set_password(settings.state.path, _asked())


def _asked() -> str:
    """Ask a person twice, or read the first line of a program."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("Password for the page: ")
    if password != getpass("Again: "):
        msg = "page: the two passwords differ"
        raise ConfigError(msg)
    return password
