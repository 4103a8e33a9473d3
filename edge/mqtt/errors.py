"""Errors by which publishing fails, and a count of hang-ups in a row."""

from typing import Final

from edge.errors import Unavailable


class RefusedError(Exception):
    """The broker refused the message; sending the same message again will not help."""


class HungUpError(Unavailable):
    """
    The connection ended in place of a PUBACK: by chance, or because of the message.

    Args:
        why: a sentence for the log.
        alone: True if no other message was on its way, which may have been the cause instead.
    """

    def __init__(self, why: str, *, alone: bool = True) -> None:
        super().__init__(why)
        self.alone = alone


class HangUps:
    """
    A count of how often in a row the broker hung up on one kind of message.

    Some brokers end the connection instead of refusing a message, and would do so on each new
    connection. After too many hang-ups the sender leaves such messages out, so that others pass.
    Results are blamed last, see `edge.daemon.publish`.
    """

    MOST: Final = 2

    def __init__(self) -> None:
        self._count = 0

    @property
    def too_many(self) -> bool:
        """True if such messages are better left out."""
        return self._count >= self.MOST

    def note(self, error: Exception) -> bool:
        """Count an error that came in place of a PUBACK; return True at one hang-up too many."""
        if not isinstance(error, HungUpError):
            return False
        self._count += 1
        return self.too_many

    def end(self) -> None:
        """Begin anew, because the broker took one such message."""
        self._count = 0
