"""The times that one association may take, looked at by the thread that sees it through."""

from collections.abc import Callable
from typing import Final

from pynetdicom.association import Association

from edge.config.dicom import Dicom
from edge.contract.receiver import Aborted
from edge.dicom.receive.dimse import Dimse

REQUEST_S: Final = 10.0
"""Seconds within which a connection must ask for an association."""
CUT_S: Final = 3 * REQUEST_S
"""Seconds after which one is cut that has not: on a busy machine the delay may be our own."""
GRACE_S: Final = 5.0
"""Seconds that an abort may take; pynetdicom sends none while it waits for the rest of a PDU."""


class Limits:
    """
    Ends an association that takes too long, however its bytes come.

    Args:
        settings: of the receiver.
        association: to look at.
        dimse: its messages.
        cut: hangs up, and may be called again.
        now: the monotonic time at which it was connected, in seconds.
    """

    def __init__(
        self,
        settings: Dicom,
        association: Association,
        dimse: Dimse,
        cut: Callable[[], None],
        now: float,
    ) -> None:
        self._settings = settings
        self._association, self._dimse = association, dimse
        self._cut = cut
        self._connected = now
        self._ended: float | None = None

    def look(self, now: float) -> None:
        """End the association if its time is over; `now` is monotonic, in seconds."""
        if self._ended is not None:
            if now - self._ended > GRACE_S:
                self._cut()
        elif not self._association.is_established:
            asked = self._association.requestor.primitive is not None
            if not asked and now - self._connected > CUT_S:
                self._cut()
        elif (why := self._why(now)) is not None:
            self._ended = now
            self._dimse.end(Aborted.TOO_SLOW, why)

    def _why(self, now: float) -> str | None:
        """Say what takes too long; an association is not cut amid an object for its own length."""
        begun = self._dimse.begun
        if begun is not None:
            most = self._settings.object_s
            over = now - begun > most
            return f"an object took more than {most:g} s: [dicom] object_s" if over else None
        most = self._settings.association_s
        if self._dimse.unanswered:  # what has come is answered first
            return None
        over = now - self._connected > most
        return f"an association of more than {most:g} s: [dicom] association_s" if over else None
