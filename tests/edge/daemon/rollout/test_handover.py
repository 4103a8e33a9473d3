"""What a failed model leaves to the next one: each of its images, whatever is with the others."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from edge.daemon.rollout.handover import hand_over
from edge.errors import Reason
from edge.models.active import shipped_bundle
from edge.storage.ledger import Ledger, open_ledger
from edge.storage.ledger.records import Submission
from edge.storage.ledger.states import State
from edge.storage.spool import Spool
from tests.support.pipeline import Line, line_of, parts_of
from tests.support.pools import serving_from

IDS: Final = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(2)]


@contextmanager
def two_rejected(folder: Path) -> Iterator[tuple[Ledger, Spool, Line]]:
    """Give a line two images that it rejects and archives."""
    with open_ledger(folder / "state", ["mqtt"], lambda payload, _: payload) as ledger:
        spool = Spool(folder / "spool", folder / "done", folder / "failed")
        line = line_of(parts_of(ledger, spool, serving_from(shipped_bundle())))
        for number, image_id in enumerate(IDS):
            path = spool.claimed / f"m-{number}"
            path.write_bytes(b"%d" % number)
            ledger.submissions.accept(Submission(image_id, path, b"f", "folder", 1.0), "b")
            line.recorder.reject(image_id, Reason.NO_PIXELS, "for a test")
        yield ledger, spool, line


def test_an_image_whose_archive_cannot_be_looked_at_keeps_no_other_from_another_examination(
    tmp_path: Path,
) -> None:
    with two_rejected(tmp_path) as (ledger, _, line):
        ledger.images.archived(IDS[0], tmp_path / ("n" * 300))  # at which the kernel fails
        trial: Any = SimpleNamespace(against=dict.fromkeys(IDS))
        hand_over(trial, line.parts, line.recorder.reject)
        images = [ledger.images.find(image_id) for image_id in IDS]
        states = [image.state for image in images if image is not None]
        assert states == [State.ARCHIVED, State.RECEIVED]
        assert trial.against == {}


def test_an_image_whose_archive_is_not_mounted_waits_for_it_and_one_that_was_removed_does_not(
    tmp_path: Path,
) -> None:
    with two_rejected(tmp_path) as (ledger, spool, line):
        ledger.images.relocate(IDS[1], spool.done / "removed")
        spool.failed.rename(tmp_path / "away")
        spool.failed.mkdir()
        trial: Any = SimpleNamespace(against=dict.fromkeys(IDS))
        hand_over(trial, line.parts, line.recorder.reject)
        images = [ledger.images.find(image_id) for image_id in IDS]
        states = [image.state for image in images if image is not None]
        assert states == [State.RECEIVED, State.ARCHIVED]


def test_an_image_that_retention_removed_waits_for_no_archive(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "state", [], lambda payload, _: payload) as ledger:
        spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
        line = line_of(parts_of(ledger, spool, serving_from(shipped_bundle())))
        path = spool.claimed / "m-0"
        path.write_bytes(b"0")
        submission = Submission(IDS[0], path, b"f", "folder", 1.0, settled=True)
        ledger.submissions.accept(submission, "b")
        line.recorder.reject(IDS[0], Reason.NO_PIXELS, "for a test")
        assert ledger.pruning.remove_file(IDS[0], Path.unlink)
        spool.failed.rename(tmp_path / "away")
        trial: Any = SimpleNamespace(against=dict.fromkeys(IDS[:1]))
        hand_over(trial, line.parts, line.recorder.reject)
        image = ledger.images.find(IDS[0])
        assert image is not None
        assert image.state is State.ARCHIVED
