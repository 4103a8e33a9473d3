"""`/metrics` for Prometheus, and `/livez` and `/readyz` for a supervisor, over HTTP."""

import logging
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from edge.errors import ConfigError, MammoEdgeError
from edge.health import Health
from edge.system.few_at_once import FewAtOnce
from edge.system.threads import Listener

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
"""The number of connections that are served at the same time."""


class MetricsServer(Listener):
    """
    Answers GET on one address.

    Args:
        address: host and port.
        numbers: for `/metrics`, returns the exposition format.
        ready: for `/readyz`, returns True if images are taken and examined.
        alive: for `/livez`, returns True if every loop turns.
        health: for the stamps of its thread.

    Raises:
        ConfigError: the address cannot be had.
    """

    def __init__(
        self,
        address: tuple[str, int],
        numbers: Callable[[], bytes],
        ready: Callable[[], bool],
        alive: Callable[[], bool],
        health: Health,
    ) -> None:
        routes: dict[str, Callable[[], tuple[int, str, bytes]]] = {
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, numbers()),
            "/readyz": lambda: _yes_or_no(ready()),
            "/livez": lambda: _yes_or_no(alive()),
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                route = routes.get(self.path)
                try:
                    status, kind, body = (
                        route()
                        if route
                        else (404, "text/plain", b"expected /metrics, /livez or /readyz\n")
                    )
                except MammoEdgeError as error:  # the ledger's disk, for example
                    status, kind, body = 503, "text/plain", f"{error}\n".encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base
                log.debug("event=http_request %s %s", format, len(args))

        try:
            server = _Server(address, Handler)
        except OSError as error:
            msg = f"metrics: {address[0]}:{address[1]}: {error.strerror}"
            raise ConfigError(msg) from None
        self.port = server.server_port
        super().__init__("metrics", server, poll_s=0.5, health=health)


class _Server(FewAtOnce, HTTPServer):
    at_once = AT_ONCE

    def handle_error(self, request: object, client_address: object) -> None:
        """Note a client that went away, which is not our trouble."""
        log.debug("event=http_client_gone peer=%s request=%s", bool(client_address), bool(request))


def _yes_or_no(answer: bool) -> tuple[int, str, bytes]:  # noqa: FBT001 - it has one argument
    return (200, "text/plain", b"yes\n") if answer else (503, "text/plain", b"no\n")
