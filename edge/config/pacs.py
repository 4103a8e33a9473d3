"""The section about the PACS that gets reports."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from edge.config.ae_title import AeTitle, ae_title
from edge.config.listen import MOST_PORT
from edge.config.section import Section


@dataclass(frozen=True, slots=True)
class Address:
    """The AE title, host and port of a PACS."""

    aet: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """True for this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() in {"localhost", "localhost."}


def read_peer(text: str) -> Address:
    """
    Read `AE-TITLE@HOST:PORT`; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is something else.
    """
    aet, at, address = text.rpartition("@")
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    brackets = host != bare
    known = port.isascii() and port.isdigit() and 0 < int(port) <= MOST_PORT
    if at and bare and known and brackets == (":" in bare) and not set(" /[]") & set(bare):
        return Address(ae_title(aet), bare, int(port))
    msg = f"found {text!r}, expected AE-TITLE@HOST:PORT, such as PACS@10.1.2.3:104"
    raise ValueError(msg)


def _checked_peer(text: str) -> str:
    read_peer(text)
    return text


class Pacs(Section):
    """
    The PACS that gets a report of each result, by DICOM C-STORE: a structured report, TID 1500.

    Needs the extra `dicom`. Reports carry the patient's name and number, as the images have them.
    """

    peer: Annotated[str, AfterValidator(_checked_peer)] | None = None
    """The PACS as AE-TITLE@HOST:PORT, such as "PACS@10.1.2.3:104". Default: no reports."""
    aet: AeTitle = "MAMMO_EDGE"
    """The AE title that the PACS is called by."""
    results: Literal["exam", "image"] = "exam"
    """A report of each exam and its revisions, or of each image."""
    tls: bool = False
    """Speak TLS, 1.2 or later; the certificate of the PACS must have the host's name."""
    ca: Path | None = None
    """The authority of the PACS's certificate. Default: the system's."""
    cert: Path | None = None
    """Our certificate, for mutual authentication."""
    key: Path | None = None
    """The certificate's private key."""
    allow_cleartext: bool = False
    """
    Send reports without TLS to another machine, though everyone on the way can read them.
    """

    map: bool = False
    """
    Send a picture of each image's map of malignancy, too: the breast alone, as Secondary Capture,
    with "research, not for diagnosis" burnt in. For research; see the guide first.
    """

    @model_validator(mode="after")
    def _a_map_has_a_peer(self) -> Self:
        if self.map and self.peer is None:
            msg = "map is true, and no peer is named: name one, or remove map"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.cert is None) != (self.key is None):
            msg = "cert and key belong together: found one of them"
            raise ValueError(msg)
        found = [name for name in ("ca", "cert") if getattr(self, name) is not None]
        if found and not self.tls:
            msg = f"found {' and '.join(found)} without TLS: set tls = true, or remove them"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _no_names_in_clear(self) -> Self:
        address = self.address
        if address is None or self.tls or self.allow_cleartext or address.is_loopback:
            return self
        msg = (
            f"peer: patients' names would go in clear to {address.host}: set tls = true, "
            "or allow_cleartext = true if only people who may read them are on the way"
        )
        raise ValueError(msg)

    @property
    def address(self) -> Address | None:
        """The PACS, read; None if there is none."""
        return None if self.peer is None else read_peer(self.peer)
