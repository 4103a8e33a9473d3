"""Names of files in spool and archive: unique, findable, and never a reason to lose a file."""

import os
import uuid
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from edge.system.files import PART

CLAIMED: Final = "claimed"
"""The folder below `spool.path` that holds the files the daemon has taken."""
RENAMED: Final = "f-"
"""Prefix of a file that was renamed out of the inbox: it is nowhere else."""
COPIED: Final = "c-"
"""Prefix of a file that was copied out of the inbox: until recorded, the original counts."""
REQUESTED: Final = "m-"
"""Prefix of a file that came over MQTT: until recorded, the broker's copy counts."""
REQUEST: Final = b"request"
"""The sender's name of a file that came over MQTT."""
EXAM: Final = "@"
"""Stands before the exam in a name in spool/claimed; in quoted names it never is."""
EXAM_DIGITS: Final = 32
"""Hex digits of an exam there: 128 bits, and the name stays below 255 bytes."""
UUID_CHARACTERS: Final = 36
NAME_BYTES: Final = 160
"""Bytes of a sender's file name that the archive keeps: with our suffixes it stays below 255."""
SUFFIX_BYTES: Final = 8
"""The longest suffix that is taken for a file type."""


def claim_name(name: bytes, exam: str | None = None) -> str:
    """
    Make a name in spool/claimed, without its prefix, that the two functions below can read.

    Args:
        name: of the sender.
        exam: keyed hash of its folder, of which half has to do.
    """
    of_exam = f"{EXAM}{exam[:EXAM_DIGITS]}" if exam else ""
    return f"{uuid.uuid4()}-{quote_from_bytes(name, safe='')[:NAME_BYTES]}{of_exam}"


def name_before_claim(claimed: Path) -> bytes:
    """Read the sender's file name from a name in spool/claimed."""
    name = unquote_to_bytes(claimed.name[len(RENAMED) + UUID_CHARACTERS + 1 :].partition(EXAM)[0])
    return name or (REQUEST if claimed.name.startswith(REQUESTED) else b"recovered")


def exam_before_claim(claimed: Path) -> str | None:
    """Read the exam from a name in spool/claimed; None if it has none."""
    return claimed.name.partition(EXAM)[2] or None


def archive_name(name: bytes, image_id: str) -> str:
    """Make `<sender's stem>.<16 hex of the image id><suffix>`: unique by its bytes."""
    name = name.lstrip(b".").removesuffix(PART.encode()) or b"image"
    stem, dot, suffix = name.rpartition(b".")
    if not stem or len(suffix) > SUFFIX_BYTES:
        stem, dot, suffix = name, b"", b""
    return os.fsdecode(stem[:NAME_BYTES] + b"." + image_id[:16].encode() + dot + suffix)


def sender_name(archived: str, image_id: str) -> bytes | None:
    """Find the name from which `archive_name` made this one; None if it did not."""
    stem, found, suffix = os.fsencode(archived).partition(b"." + image_id[:16].encode())
    name = stem + suffix
    return name if found and archive_name(name, image_id) == archived else None


def result_path(archived: Path) -> Path:
    """Name the JSON file that lies beside an archived image."""
    return archived.with_name(archived.name + ".json")
