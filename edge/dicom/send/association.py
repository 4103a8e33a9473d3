"""Sending one object by C-STORE, in an association of its own."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from edge.contract.report_job import Answer, Peer, Sent
from edge.dicom.send.capture import SECONDARY_CAPTURE
from edge.dicom.send.document import COMPREHENSIVE, COMPREHENSIVE_3D
from edge.system.certificates import client_context

CONNECT_S: Final = 30.0
"""Seconds that a connection, with its TLS, or an association may take to be made."""
ANSWER_S: Final = 60.0
"""Seconds that a PACS may take to store an object."""
NAMES: Final[Mapping[str, str]] = {
    COMPREHENSIVE_3D: "Comprehensive 3D SR",
    COMPREHENSIVE: "Comprehensive SR",
    SECONDARY_CAPTURE: "Secondary Capture",
}
SUCCESS: Final = 0x0000
STORED: Final = (SUCCESS, 0x0001, 0x0107, 0x0111, 0x0116, *range(0xB000, 0xC000))
"""Success, warnings, and what says that the peer has an object of this name (PS3.7, annex C)."""
PASSING: Final = (*range(0xA700, 0xA800), 0x0110, 0x0213)
"""Out of resources, and failures in processing: another time it may go well."""


def send(peer: Peer, classes: Sequence[str], make: Callable[[str], Dataset]) -> Answer:
    """
    Send an object.

    Args:
        peer: gets it.
        classes: the SOP classes that it may have, the preferred one first.
        make: makes it, of the first class that the peer takes.
    """
    ae = AE(peer.calling)
    ae.connection_timeout = ae.acse_timeout = CONNECT_S
    ae.dimse_timeout = ae.network_timeout = ANSWER_S
    for one in classes:
        ae.add_requested_context(one, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    try:
        tls = (client_context(peer.ca, peer.cert, peer.key), peer.host) if peer.tls else None
    except (OSError, ssl.SSLError) as error:
        return Answer(sent=Sent.UNAVAILABLE, why=f"[pacs] ca, cert or key: {error.strerror}")
    try:
        asked = ae.associate(peer.host, peer.port, ae_title=peer.aet, tls_args=tls)
    except OSError as error:  # of the name's lookup
        return Answer(sent=Sent.UNAVAILABLE, why=f"[pacs] peer: {error.strerror or 'no address'}")
    if not asked.is_established:
        return Answer(sent=Sent.UNAVAILABLE, why=_why_none(asked, classes))
    try:
        return _store(asked, classes, make)
    finally:
        if asked.is_established:
            asked.release()


def _store(asked: Association, classes: Sequence[str], make: Callable[[str], Dataset]) -> Answer:
    taken = {context.abstract_syntax for context in asked.accepted_contexts}
    sop_class = next(one for one in classes if one in taken)
    answer = asked.send_c_store(make(sop_class))
    if "Status" not in answer:
        return Answer(sent=Sent.FAILED, why="the peer ended the association, or did not answer")
    status = int(answer.Status)
    if status in STORED:
        return Answer(sent=Sent.STORED)
    why = f"the peer answers with status {status:04X}"
    return Answer(sent=Sent.FAILED if status in PASSING else Sent.REFUSED, why=why)


def _why_none(asked: Association, classes: Sequence[str]) -> str:
    if asked.is_rejected:
        return "the peer rejects the association: does it know our AE title, and is its own right?"
    if asked.rejected_contexts:
        return f"the peer does not take {' or '.join(NAMES[one] for one in classes)}"
    return "no connection to the peer, no TLS with it, or no answer"
