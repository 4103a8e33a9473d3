"""
Sockets that let a PDU through only if it is no longer than allowed and arrives in time.

pynetdicom reserves and waits for whatever length a PDU's head names, up to 4 GB and for ever.
"""

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias

from edge.contract.receiver import Aborted

Told: TypeAlias = Callable[[Aborted, str], None]
"""Called with the cause for which an association ends, and the reason in words of ours."""
HEAD: Final = 6
"""Bytes of a PDU's head: type, reserved, length in four bytes."""
ASSOCIATE: Final = 1
DATA: Final = 4
MOST_ASSOCIATE: Final = 2**18
"""Bytes of an A-ASSOCIATE-RQ: 128 presentation contexts with all syntaxes are a third of it."""
MOST_OTHER: Final = 1024
"""Bytes of any other PDU; those of the standard have 4."""
WITHIN_S: Final = 30.0
"""Seconds within which a PDU must arrive that has begun."""
SILENCE_S: Final = 10.0
"""Seconds that one read or write may take."""


class FrameError(OSError):
    """A PDU that is too long or too slow; pynetdicom closes the connection at an OSError."""


class Framing:
    """
    Follows the heads of the PDUs in a stream.

    Args:
        max_pdu: the longest P-DATA-TF, in bytes.
        violated: called before an error is raised, which pynetdicom swallows.
    """

    def __init__(self, max_pdu: int, violated: Told) -> None:
        self.violated = violated
        self._most = {ASSOCIATE: MOST_ASSOCIATE, DATA: max_pdu}
        self._head = bytearray()
        self._left = 0
        self._until = 0.0

    def took(self, data: bytes, now: float) -> None:
        """
        Follow what was read.

        Args:
            data: the next bytes of the stream.
            now: monotonic time, in seconds.

        Raises:
            FrameError: a PDU is too long, or has not arrived in time.
        """
        place = 0
        while place < len(data):
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
            else:
                if not self._head:
                    self._until = now + WITHIN_S
                step = min(HEAD - len(self._head), len(data) - place)
                self._head += data[place : place + step]
                if len(self._head) == HEAD:
                    self._left = self._length()
            place += step
            if len(self._head) == HEAD and not self._left:
                self._head.clear()
        if self._head and now > self._until:
            self._refuse(Aborted.TOO_SLOW, f"a PDU took more than {WITHIN_S:g} s")

    def _length(self) -> int:
        kind, length = self._head[0], int.from_bytes(self._head[2:], "big")
        most = self._most.get(kind, MOST_OTHER)
        if length > most:
            self._refuse(Aborted.PROTOCOL, f"a PDU of more than {most} bytes")
        return length

    def _refuse(self, cause: Aborted, why: str) -> NoReturn:
        self.violated(cause, why)
        raise FrameError(why)


class _Framed:
    """A socket whose stream is followed once `framing` is set."""

    framing: Framing | None = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Read, as a socket does; raises FrameError at a PDU that is too long or too slow."""
        data: bytes = super().recv(buflen, flags)  # type: ignore[misc]
        if self.framing is not None:
            self.framing.took(data, time.monotonic())
        return data


class PlainSocket(_Framed, socket.socket):
    """A framed socket in clear."""

    @classmethod
    def of(cls, accepted: socket.socket) -> "PlainSocket":
        """Take over an accepted socket."""
        made = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        made.settimeout(SILENCE_S)
        return made


class TlsSocket(_Framed, ssl.SSLSocket):
    """A framed socket under TLS; a context makes it."""


def secured(accepted: socket.socket, context: ssl.SSLContext) -> Any:  # noqa: ANN401 - a TlsSocket
    """
    Shake hands, within SILENCE_S in all.

    Args:
        accepted: a connected socket, which is the new one's from now on.
        context: from `tls.server_context`.

    Raises:
        OSError: the peer is silent, speaks no TLS or has no certificate of the authority.
    """
    accepted.settimeout(SILENCE_S)
    return context.wrap_socket(accepted, server_side=True)
