"""The sections about folders on this machine: inbox, spool, archive and ledger."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edge.config.section import Count, Seconds, Section


class Inbox(Section):
    """The watched folder."""

    path: Path = Path("/srv/mammo-edge/inbox")
    """
    Imaging devices write here. Dot files, names of what is not whole yet, such as *.part and *.tmp,
    and what systems put beside images are left alone; subfolders are watched too.
    """
    quiet_s: Seconds | None = None
    """
    A file that was not seen being closed or moved in is ready after this many seconds unchanged.
    Default: 2, or 10 on a network file system.
    """
    rescan_s: Seconds = 60.0
    """Seconds between full listings of the folder, whatever the events said."""
    poll: Literal["auto", "always", "never"] = "auto"
    """
    List the folder every poll_s instead of waiting for events; `auto` does so on SMB, NFS and FUSE,
    which raise none.
    """
    poll_s: Seconds = 2.0
    """Seconds between listings of a polled folder."""


class Spool(Section):
    """
    Folders for waiting, scored and rejected images.

    Best on the same file system as the inbox: claiming is then a rename.
    """

    path: Path = Path("/srv/mammo-edge/spool")
    """Images that were taken and not yet archived."""
    done: Path = Path("/srv/mammo-edge/done")
    """Scored images, each beside its result JSON."""
    failed: Path = Path("/srv/mammo-edge/failed")
    """Rejected images, each beside its result JSON."""
    max_waiting: Count = 1000
    """
    Intake stops, and MQTT requests stay with the broker, while this many images wait for a worker.
    Those in done and failed that are to be examined again do not count.
    """
    min_free_mb: Annotated[int, Field(ge=0)] = 256
    """Intake stops while the spool's file system has less free space than this, in MiB."""


class Retention(Section):
    """
    Days that files and results are kept.

    Never removed: undelivered results, and files in done or failed that mammo-edge did not put
    there.
    """

    done_days: Annotated[float, Field(ge=0)] = 30.0
    """
    Scored images and their JSON are removed from done after this many days; 0 keeps them while
    there is room.
    """
    failed_days: Annotated[float, Field(ge=0)] = 90.0
    """
    Rejected images and their JSON are removed from failed after this many days, and ledgers set
    aside as damaged; 0 keeps them while there is room.
    """
    results_days: Annotated[float, Field(ge=0)] = 365.0
    """
    Results are removed from the ledger after this many days, once their image's file is gone; 0
    keeps them while there is room.
    """
    scores_days: Annotated[float, Field(ge=0)] = 1100.0
    """
    Scores, without maps and file names, are kept in the ledger for this many days, so that a
    verdict can still be given when the result is gone; 0 keeps them. Verdicts stay.
    """
    audit_days: Annotated[float, Field(ge=0)] = 0.0
    """
    Closed files of the audit log, some 3,000 entries each, are removed this many days after their
    last entry; 0 keeps them.
    """
    min_free_mb: Annotated[int, Field(ge=0)] = 512
    """
    While the file system of done has less free space, the oldest images in done are removed, then
    those in failed; in the state folder, pictures for the page, then the oldest results whose files
    are gone. Set it above [spool] min_free_mb, otherwise intake stops first.
    """


class State(Section):
    """Data that must survive a restart."""

    path: Path = Path("/var/lib/mammo-edge")
    """The folder of the ledger and its lock; each daemon needs its own."""
