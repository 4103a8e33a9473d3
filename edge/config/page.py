"""The section about the page for browsers."""

import ipaddress
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from edge.config.listen import Address, Listen, read_listen
from edge.config.section import Section

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
IPV4: Final = 4


class Page(Section):
    """
    The page for browsers, `mammo-edge page`: queue, results, exams, state and charts, read-only.

    A process of its own, with the extra `page`; it takes changes when it is restarted, and so does
    the daemon, which draws `pictures`.
    """

    listen: Listen = "127.0.0.1:8323"
    """
    Address and port to listen on; by default only this machine can connect. Any other address needs
    `hosts`, `cert` and `key`, and a password (`mammo-edge page --password`).
    """
    hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$|^\[[0-9A-Fa-f:.]+\]$")], ...] = ()
    """
    Names and addresses under which browsers may ask for the page, such as "mammo.clinic.lan"; those
    of this machine's loopback, and the address of `listen`, are always among them.
    """
    names: bool = True
    """Show the names that senders gave their files, which may name a woman; false shows ids."""
    pictures: bool = False
    """
    Have a worker of its own draw each scored image once its result is delivered, for the page: the
    breast alone, the model's input, and the map over it. They are kept in the state folder as long
    as the image's file in done; a start with false removes them.
    """
    cert: Path | None = None
    """The page's certificate. With `key` it turns TLS on, 1.2 or later."""
    key: Path | None = None
    """The certificate's private key."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.cert is None) != (self.key is None):
            msg = f"cert and key belong together: found {'cert' if self.cert else 'key'}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _safe_beyond_loopback(self) -> Self:
        if not self.local and not self.tls:
            msg = (
                f"listen is {self.listen}, which other machines reach: expected cert and key too, "
                "or an address of this machine alone, such as 127.0.0.1:8323"
            )
            raise ValueError(msg)
        if self.address.is_unspecified and not self.hosts:
            msg = (
                f"listen is {self.listen}, all addresses: expected hosts too, the names under "
                "which browsers ask for the page"
            )
            raise ValueError(msg)
        return self

    @property
    def address(self) -> Address:
        """The address to listen on."""
        return ipaddress.ip_address(read_listen(self.listen)[0])

    @property
    def port(self) -> int:
        """The port to listen on; 0 for any."""
        return read_listen(self.listen)[1]

    @property
    def local(self) -> bool:
        """True if only this machine can connect."""
        return self.address.is_loopback

    @property
    def tls(self) -> bool:
        """True if browsers must speak TLS."""
        return self.cert is not None

    @property
    def allowed(self) -> frozenset[str]:
        """The hosts that requests may name, in lower case, without their ports."""
        own = set() if self.address.is_unspecified else {self._host}
        return frozenset(name.lower() for name in {*LOOPBACK, *self.hosts, *own})

    def url(self, port: int, token: str) -> str:
        """Return the address that opens the page; what stands behind # is sent to no server."""
        return f"{self.root(port)}enter#{token}"

    def root(self, port: int) -> str:
        """Return the address of the page for browsers that may come in, or may ask to."""
        host = self._host if self.local or not self.hosts else self.hosts[0]
        return f"{'https' if self.tls else 'http'}://{host}:{port}/"

    @property
    def _host(self) -> str:
        return str(self.address) if self.address.version == IPV4 else f"[{self.address}]"
