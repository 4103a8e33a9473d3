"""Names of files that are no images: copies that are not whole yet, and what systems put beside."""

from pathlib import PurePath
from typing import Final

PARTIAL: Final = (
    ".part",
    ".tmp",
    ".temp",
    ".filepart",
    ".partial",
    ".crdownload",
    ".opdownload",
    ".download",
    ".cyberduckpart",
    ".upload",
    ".uploading",
    ".incomplete",
    ".inprogress",
    ".writing",
    "~",
)
"""Endings that senders take off again once the file is whole."""
COMPANIONS: Final = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "zbthumbnail.info",
        "desktop.ini",
        "picasa.ini",
        "folder.htt",
        "autorun.inf",
        "icon\r",
        "dicomdir",
        "lockfile",
        "readme",
        "readme.txt",
        "readme.md",
        "readme.htm",
        "readme.html",
        "readme.pdf",
        "readme.rtf",
    }
)
"""Files that Windows, macOS, photo programs and exports to disc put beside images."""
COMPANION_ENDINGS: Final = (".lnk", ".url", ".desktop", ".db:encryptable")
"""Endings of links and notes of a desktop."""
FOLDERS: Final = frozenset(
    {
        "system volume information",
        "$recycle.bin",
        "recycler",
        "lost+found",
        "__macosx",
        "@eadir",
        "#recycle",
        "#snapshot",
        "~snapshot",
    }
)
"""Folders of Windows, macOS, file systems and network storage."""


def is_left_alone(path: PurePath) -> bool:
    """
    Tell if a file is none to take: hidden, not whole yet, or put there by its sender's system.

    Args:
        path: relative to the inbox.
    """
    *folders, name = (part.lower() for part in path.parts)
    return (
        any(part.startswith(".") for part in (*folders, name))
        or any(folder in FOLDERS for folder in folders)
        or name in COMPANIONS
        or name.startswith("~$")
        or name.endswith((*PARTIAL, *COMPANION_ENDINGS))
    )
