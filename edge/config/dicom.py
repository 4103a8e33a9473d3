"""The section about the DICOM receiver, and who may send to it."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from edge.config.ae_title import AeTitle, ae_title
from edge.config.listen import Address, Listen
from edge.config.section import Count, Seconds, Section

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Caller:
    """An AE title that may send, and the network it must send from."""

    aet: str
    network: Network | None
    """None: from anywhere, which only TLS allows."""

    def includes(self, address: Address) -> bool:
        """Tell if the caller may send from an address."""
        return self.network is None or address in self.network


def read_caller(text: str) -> Caller:
    """
    Read `AE-TITLE@NETWORK`, or an AE title alone.

    Raises:
        ValueError: it is neither.
    """
    aet, at, network = text.rpartition("@")
    if not at:
        return Caller(ae_title(text), None)
    found = ipaddress.ip_network(network)
    if isinstance(found, ipaddress.IPv6Network) and found.network_address.ipv4_mapped:
        msg = f"found {network}, expected its IPv4 network"
        raise ValueError(msg)
    return Caller(ae_title(aet), found)


def _checked_caller(text: str) -> str:
    read_caller(text)
    return text


class Dicom(Section):
    """
    The DICOM receiver, `mammo-edge receive`, which puts what modalities send into the inbox.

    A process of its own, with the extra `dicom`; it takes changes when it is restarted.
    """

    listen: Listen = "127.0.0.1:11112"
    """Address and port to listen on; by default only this machine can connect."""
    aet: AeTitle = "MAMMO_EDGE"
    """The AE title that senders must call."""
    callers: tuple[Annotated[str, AfterValidator(_checked_caller)], ...] = ()
    """
    Who may send, each as AE-TITLE@NETWORK, such as "MAMMO1@10.1.2.3/32"; with TLS the network may
    be left out. Everyone else is refused, and while this is empty, everyone. An AE title is what
    the sender says of itself: without TLS only the network protects.
    """
    associations: Annotated[int, Field(ge=1, le=256)] = 16
    """Associations at a time. One address may have half of them, an IPv6 network (/64) too."""
    connections_per_minute: Count = 120
    """Connections that one address, or IPv6 network (/64), may open in a minute."""
    max_pdu: Annotated[int, Field(ge=4096, le=2**20)] = 2**17
    """The longest PDU that senders may send, in bytes; it must arrive within 30 seconds."""
    idle_s: Seconds = 60.0
    """Seconds of silence after which an association is aborted."""
    object_s: Seconds = 600.0
    """Seconds within which an object must have come, else its association is aborted."""
    association_s: Seconds = 14400.0
    """Seconds after which an association is aborted, as soon as no object is on its way."""
    report: Path = Path("/run/mammo-edge-dicom/report.json")
    """The file in which the receiver says what it took and refused; the daemon reads it."""
    ca: Path | None = None
    """
    The authority of the senders' certificates. With `cert` and `key` it turns TLS on, 1.2 or later,
    and nobody comes in without a certificate of this authority.
    """
    cert: Path | None = None
    """The receiver's certificate."""
    key: Path | None = None
    """The certificate's private key."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        found = [name for name in ("ca", "cert", "key") if getattr(self, name) is not None]
        if len(found) in {1, 2}:
            msg = f"ca, cert and key belong together: found {' and '.join(found)}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _networks_without_tls(self) -> Self:
        for caller in self.allowed:
            if caller.network is None and not self.tls:
                msg = (
                    f"callers: {caller.aet!r} has no network, expected {caller.aet}@NETWORK, "
                    "or TLS (ca, cert and key)"
                )
                raise ValueError(msg)
        return self

    @property
    def tls(self) -> bool:
        """True if senders must speak TLS and show a certificate."""
        return self.ca is not None

    @property
    def allowed(self) -> tuple[Caller, ...]:
        """The callers, read."""
        return tuple(map(read_caller, self.callers))
