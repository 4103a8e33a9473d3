"""The page's process: listens until SIGTERM."""

import asyncio
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Final

import uvicorn
from anyio import to_thread

from edge.config.listen import error_class
from edge.config.page import IPV4, Page
from edge.config.settings import Settings
from edge.errors import ConfigError
from edge.page import access
from edge.page.app import make_app
from edge.page.impatient import Impatient
from edge.system import logs
from edge.system.certificates import load_own
from edge.system.systemd import Systemd

log = logging.getLogger(__name__)

ALIVE_S: Final = 10.0
"""Seconds between signs of life to systemd."""
CONNECTIONS: Final = 128
"""Connections at a time; more are answered that the page is busy."""
THREADS: Final = 2
"""Pages that are made at a time: more would be no quicker, and each thread keeps memory."""
FINISH_S: Final = 3
"""Seconds that answers have once the process is to end."""

AGAIN: Final = {
    "token": "the token that was printed opens it; mammo-edge page --token makes a new one",
    "password": "the password that was set opens it; mammo-edge page --password sets a new one",
}
"""The way in where a token or a password is there already: only its hash is kept."""


def run(settings: Settings, tell: Callable[[str], None]) -> None:
    """
    Be the page until SIGTERM or SIGINT.

    Args:
        settings: the configuration.
        tell: is called with the address for browsers, with the token in it if one was made; on a
            terminal of each start, in a log of none.

    Raises:
        ConfigError: something a person must change.
        Unavailable: the address to listen on is taken, or not there yet.
    """
    token = _have_access(settings)
    _check_certificate(settings.page)
    listening = _listen(settings.page)
    logs.start(settings.log.level)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = _Server(settings, Systemd())
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn's own come later, and raise them again
        signal.signal(number, server.handle_exit)
    host, port = listening.getsockname()[:2]
    log.info("event=listening address=%s port=%d tls=%s", host, port, settings.page.tls)
    if token is not None:
        tell(settings.page.url(port, token))
    elif sys.stdout.isatty():
        tell(f"{settings.page.root(port)}\n{AGAIN['token' if settings.page.local else 'password']}")
    server.run(sockets=[listening])
    log.info("event=stopped")


class _Server(uvicorn.Server):
    """Tells systemd when it listens, and that its loop turns."""

    def __init__(self, settings: Settings, systemd: Systemd) -> None:
        page = settings.page
        config = uvicorn.Config(
            make_app(settings, lambda: self.should_exit),
            loop="asyncio",
            http=Impatient,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=FINISH_S,
            ssl_certfile=None if page.cert is None else str(page.cert),
            ssl_keyfile=None if page.key is None else str(page.key),
        )
        super().__init__(config)
        self._systemd = systemd

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        self._systemd.notify("READY=1")
        self._alive = asyncio.create_task(self._be_alive())

    async def _be_alive(self) -> None:
        while True:
            self._systemd.notify("WATCHDOG=1")
            await asyncio.sleep(ALIVE_S)


def _have_access(settings: Settings) -> str | None:
    """
    See that somebody can come in; on a terminal of this machine, make a first token.

    Raises:
        ConfigError: nobody can.
    """
    state, local = settings.state.path, settings.page.local
    if access.read(state, "token" if local else "password") is not None:
        return None
    if local and sys.stdout.isatty():
        return access.make_token(state)
    word = "token" if local else "password"
    msg = f"page: there is no {word} yet, so nobody could come in: mammo-edge page --{word}"
    raise ConfigError(msg)


def _check_certificate(page: Page) -> None:
    if page.cert is None or page.key is None:
        return
    try:
        load_own(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), page.cert, page.key)
    except OSError as error:
        msg = f"page.cert: {page.cert} with {page.key}: {error.strerror or error}"
        raise ConfigError(msg) from None


def _listen(page: Page) -> socket.socket:
    family = socket.AF_INET if page.address.version == IPV4 else socket.AF_INET6
    try:
        return socket.create_server((str(page.address), page.port), family=family)
    except OSError as error:
        msg = f"page.listen: {page.listen}: {error.strerror}"
        raise error_class(error)(msg) from None
