"""Names of files in spool and archive: unique, findable, and never a reason to lose a file."""

import os
import re
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
SHORT_NAME_BYTES: Final = 40
"""The same where names are to be short: in spool/claimed one has 112 bytes then."""
SUFFIX_BYTES: Final = 8
"""The longest suffix that is taken for a file type."""
ENDS: Final = b". "
PLAIN_SUFFIX: Final = re.compile(rb"\.[A-Za-z0-9]{1,8}\Z")
"""A suffix that every file system takes."""


def claim_name(
    name: bytes,
    exam: str | None = None,
    longest: int = NAME_BYTES,
    unique: uuid.UUID | None = None,
) -> str:
    """
    Make a name in spool/claimed, without its prefix, that the two functions below can read.

    Args:
        name: of the sender.
        exam: keyed hash of its folder, of which half has to do.
        longest: bytes of the sender's name, quoted, that are kept.
        unique: what makes the name unique; None for a number of its own.
    """
    of_exam = f"{EXAM}{exam[:EXAM_DIGITS]}" if exam else ""
    return f"{unique or uuid.uuid4()}-{quote_from_bytes(name, safe='')[:longest]}{of_exam}"


def name_before_claim(claimed: Path) -> bytes:
    """Read the sender's file name from a name in spool/claimed."""
    name = unquote_to_bytes(claimed.name[len(RENAMED) + UUID_CHARACTERS + 1 :].partition(EXAM)[0])
    return name or (REQUEST if claimed.name.startswith(REQUESTED) else b"recovered")


def exam_before_claim(claimed: Path) -> str | None:
    """Read the exam from a name in spool/claimed; None if it has none."""
    return claimed.name.partition(EXAM)[2] or None


def archive_name(name: bytes, image_id: str) -> str:
    """
    Make `<sender's stem>.<16 hex of the image id><suffix>`: unique by its bytes.

    A suffix has no blanks and dots at its end, which NTFS refuses, and not in the name of a result.
    """
    name = name.lstrip(b".").removesuffix(PART.encode()) or b"image"
    stem, dot, suffix = name.rpartition(b".")
    if not stem or len(suffix) > SUFFIX_BYTES:
        stem, dot, suffix = name, b"", b""
    suffix = suffix.rstrip(ENDS)
    return os.fsdecode(
        stem[:NAME_BYTES] + b"." + image_id[:16].encode() + (dot if suffix else b"") + suffix
    )


def plain_archive_name(name: bytes, image_id: str) -> str:
    """Make `image.<16 hex of the image id><suffix>`, for a file system that refuses the other."""
    suffix = PLAIN_SUFFIX.search(name.removesuffix(PART.encode()))
    return archive_name(b"image" + (suffix[0] if suffix else b""), image_id)


def sender_name(archived: str, image_id: str) -> bytes | None:
    """
    Find the name from which `archive_name` made this one; None if it did not.

    Of one that `plain_archive_name` made, that is `image` and the suffix.
    """
    stem, found, suffix = os.fsencode(archived).partition(b"." + image_id[:16].encode())
    name = stem + suffix
    made = archive_name(name, image_id)
    # Earlier releases kept blanks and dots at the end.
    return name if found and made == archived.rstrip(ENDS.decode()) else None


def result_path(archived: Path) -> Path:
    """Name the JSON file that lies beside an archived image."""
    return archived.with_name(archived.name + ".json")
