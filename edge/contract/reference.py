"""The message on `request/ref`: the name and the hash of a file in the inbox."""

import json
from typing import Final

from edge.contract.limits import NAME_BYTES, NAME_LEVELS

HEX_DIGITS: Final = 64
NO_SUCH_FILE: Final = "no such file in the inbox"


def parse_reference(request: bytes) -> tuple[str, str]:
    """
    Return the name and the hash, in lower case, that a request gives.

    Args:
        request: from a stranger, not longer than the contract allows.

    Raises:
        ValueError: it gives none; the text says what was found and what was expected.
    """
    try:
        fields = json.loads(request)
    except (ValueError, RecursionError):
        msg = 'the request is not JSON, expected {"name": "...", "sha256": "..."}'
        raise ValueError(msg) from None
    name, sha256 = (
        (fields.get("name"), fields.get("sha256")) if isinstance(fields, dict) else (None, None)
    )
    if not isinstance(name, str) or not name or "\0" in name:
        msg = "the request has no name, expected that of a file in the inbox"
        raise ValueError(msg)
    if (
        not isinstance(sha256, str)
        or len(sha256) != HEX_DIGITS
        or not set(sha256.lower()) <= set("0123456789abcdef")
    ):
        msg = "the request has no sha256, expected 64 hex digits"
        raise ValueError(msg)
    _check_name(name)
    return name, sha256.lower()


def _check_name(name: str) -> None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
        msg = "the request's name is no text, expected that of a file in the inbox"
        raise ValueError(msg) from None
    if size > NAME_BYTES or name.count("/") >= NAME_LEVELS:
        msg = (
            f"the request's name has {size} bytes and {name.count('/') + 1} levels, "
            f"expected {NAME_BYTES} and {NAME_LEVELS} at most"
        )
        raise ValueError(msg)
