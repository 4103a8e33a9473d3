"""
The control socket: one JSON line in, one JSON line out.

Everyone who may write to the socket may use it.
"""

import contextlib
import json
import logging
import socket
import socketserver
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge.daemon.control.audited import AuditedHandler
from edge.errors import MammoEdgeError, StartupError, Unavailable
from edge.health import Health
from edge.storage.audit import Caller
from edge.system.few_at_once import FewAtOnce
from edge.system.threads import Listener

log = logging.getLogger(__name__)

MAX_LINE: Final = 2 * 2**20
"""The longest request in bytes: a file of verdicts."""
AT_ONCE: Final = 64
"""Clients that are answered at a time; an erasure or a new model may take minutes."""
SILENCE_S: Final = 10.0
"""Seconds for which a client may keep the daemon waiting, for its request or with the answer."""
TIMEOUT_S: Final = 120.0
"""Long enough for a reload, which loads and proves a model."""
CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group of the other end, as the kernel has them (unix(7))."""


class ControlServer(Listener):
    """
    Answers on a Unix socket, mode 0660.

    Raises:
        StartupError: the socket cannot be made.
    """

    def __init__(self, path: Path, handlers: Mapping[str, AuditedHandler], health: Health) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # a killed daemon leaves its socket; the ledger's lock says that none is running
            path.unlink(missing_ok=True)
            server = _Server(str(path), _Connection)
            path.chmod(0o660)
        except OSError as error:
            msg = f"control.socket: {path}: {error.strerror or error}"
            raise StartupError(msg) from None
        server.handlers = handlers
        super().__init__("control", server, poll_s=0.1, health=health)

    def close(self) -> None:
        """Stop answering and remove the socket."""
        super().close()
        self._path.unlink(missing_ok=True)


class NoDaemonError(Unavailable):
    """Nobody answers at the socket, or not to us."""


def ask(path: Path, command: str, **arguments: object) -> dict[str, Any]:
    """
    Ask the running daemon.

    Raises:
        NoDaemonError: no daemon answers there, or not to us.
        Unavailable: the daemon refuses; the text says why.
    """
    return ask_within(TIMEOUT_S, path, {"command": command, **arguments})


def ask_within(timeout_s: float, path: Path, request: Mapping[str, object]) -> dict[str, Any]:
    """
    Ask the running daemon, which may be silent for so many seconds.

    Raises:
        NoDaemonError: no daemon answers there in time, or not to us.
        Unavailable: the daemon refuses; the text says why.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout_s)
            client.connect(str(path))
            with contextlib.suppress(ConnectionError):  # a busy daemon hangs up, and has said so
                client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as stream:
                answer: dict[str, Any] = json.loads(stream.readline())
    except PermissionError:
        msg = f"{path}: no right to ask the daemon: run this as root, or join {_group_of(path)}"
        raise NoDaemonError(msg) from None
    except (OSError, ValueError) as error:
        msg = f"{path}: no running daemon answers: {getattr(error, 'strerror', None) or error}"
        raise NoDaemonError(msg) from None
    if not answer.pop("ok"):
        raise Unavailable(str(answer.get("error")))
    return answer


def _group_of(path: Path) -> str:
    for place in (path, path.parent):
        with contextlib.suppress(OSError, KeyError):
            return f"the group {place.group()}"
    return "its group"


class _Server(FewAtOnce, socketserver.UnixStreamServer):
    at_once = AT_ONCE
    request_queue_size = 128  # one that finds the queue full is told at once that nobody answers
    handlers: Mapping[str, AuditedHandler] = {}

    def turn_away(self, request: socket.socket) -> None:
        """Tell one client too many that it should try again."""
        error = f"busy: {self.at_once} clients are being answered, try again in a while"
        with contextlib.suppress(OSError):
            request.sendall(json.dumps({"ok": False, "error": error}).encode() + b"\n")

    def handle_error(self, request: object, client_address: object) -> None:
        """Note a client that went away, which is not our trouble."""
        log.debug(
            "event=control_client_gone peer=%s request=%s", bool(client_address), bool(request)
        )


class _Connection(socketserver.StreamRequestHandler):
    server: _Server
    timeout = SILENCE_S

    def handle(self) -> None:
        """Answer one line."""
        line = self.rfile.readline(MAX_LINE)
        self.wfile.write(json.dumps(self._answer(line), default=str).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request, handler = self._understand(line)
            return {"ok": True, **handler(request, self._caller())}
        except MammoEdgeError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:
            log.exception("event=control_failed")
            return {"ok": False, "error": type(error).__name__}

    def _understand(self, line: bytes) -> tuple[dict[str, Any], AuditedHandler]:
        """Read a request; MammoEdgeError if it is none."""
        try:
            request = json.loads(line)
            return request, self.server.handlers[request["command"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            msg = f'expected {{"command": one of {", ".join(self.server.handlers)}}}'
            raise MammoEdgeError(msg) from None

    def _caller(self) -> Caller:
        size = CREDENTIALS.size
        found = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return Caller(uid=CREDENTIALS.unpack(found)[1])
