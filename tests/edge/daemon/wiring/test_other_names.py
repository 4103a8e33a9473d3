"""Spool and archive that moved, and left a link at their old place, lose no film."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from edge.daemon.wiring.state import open_state
from edge.daemon.workers.serving import Serving
from edge.errors import Reason
from edge.health import Health
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.storage.ledger.records import Image, Submission
from tests.support.pipeline import Line, folders_of, line_of, parts_of
from tests.support.pools import Pool

FILM = b"a film"
ID = hashlib.sha256(FILM).hexdigest()


@contextmanager
def daemon(folder: Path) -> Iterator[Line]:
    """A daemon that has had its first turn."""
    with ExitStack() as stack:
        ledger, spool = open_state(folders_of(folder), Health(), stack)
        serving = Serving(verify(shipped_bundle()), cast("Any", Pool()))
        line = line_of(parts_of(ledger, spool, serving))
        line.dispatcher._turn()
        yield line


def take(line: Line, claim: str) -> None:
    path = line.parts.spool.claimed / claim
    path.write_bytes(FILM)
    line.parts.spool.rehash(path)
    line.parts.ledger.submissions.accept(Submission(ID, path, b"film.dcm", "mqtt", 0.0), "b")


def film(line: Line) -> Image:
    found = line.parts.ledger.images.find(ID)
    assert found is not None
    return found


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "inbox").mkdir(parents=True)
    return old, new


def move_and_link(old: Path, new: Path) -> None:
    old.rename(new)
    old.symlink_to(new)


@pytest.mark.parametrize("claim", ["f-1", "c-1", "m-1"], ids=["renamed", "copied", "requested"])
def test_a_film_that_waits_is_no_spare_copy_of_itself(
    places: tuple[Path, Path], claim: str
) -> None:
    old, new = places
    with daemon(old) as line:
        take(line, claim)
    move_and_link(old, new)
    with daemon(new) as line:
        assert film(line).path == new / "spool" / "claimed" / claim
        assert film(line).path.read_bytes() == FILM


@pytest.mark.parametrize(
    "its",
    [
        "alone",
        "linked",
        pytest.param(
            "foreign",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: run as root"),
        ),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["at the start", "later"])
def test_an_archived_film_that_is_examined_again_does_not_replace_itself(
    places: tuple[Path, Path], its: str, *, late: bool
) -> None:
    old, new = places
    with daemon(old) as line:
        take(line, "f-1")
        line.recorder.reject(ID, Reason.POISON, "for a test")
        archived = film(line).path
    if its == "linked":
        (old.parent / "backup").hardlink_to(archived)
    if its == "foreign":
        os.chown(archived, 4242, -1)
    old.rename(new)
    if not late:
        old.symlink_to(new)
    with daemon(new) as line:
        if late:
            old.symlink_to(new)
        line.parts.ledger.submissions.retry([ID])
        line.recorder.reject(ID, Reason.POISON, "for a test")
        assert film(line).path == new / "failed" / archived.name
        assert film(line).path.read_bytes() == FILM
