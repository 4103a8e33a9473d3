"""Application entity titles, by which DICOM's applications call each other (PS3.5, 6.2)."""

from typing import Annotated, Final

from pydantic import AfterValidator

MOST: Final = 16
"""The most characters of a title."""


def ae_title(text: str) -> str:
    """
    Return an AE title as it is.

    Raises:
        ValueError: it is none.
    """
    printable = all(" " <= character <= "~" and character != "\\" for character in text)
    if 0 < len(text) <= MOST and printable and text == text.strip():
        return text
    msg = f"found the AE title {text!r}, expected 1 to {MOST} ASCII characters, no backslash"
    raise ValueError(msg)


AeTitle = Annotated[str, AfterValidator(ae_title)]
