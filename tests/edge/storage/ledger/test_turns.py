"""Whose turn it is while folders rest."""

from pathlib import Path

from edge.storage.ledger import open_ledger
from edge.storage.ledger.records import Submission


def test_a_folder_that_rests_keeps_no_image_waiting_that_lies_in_a_folder_below_it(
    tmp_path: Path,
) -> None:
    """The spool may be a folder of the archive."""
    done = tmp_path / "done"
    claimed = done / "spool" / "claimed"
    with open_ledger(tmp_path / "state", [], lambda payload, _: payload) as ledger:
        for number, path in enumerate((done / "old", claimed / "new")):
            submission = Submission(path.name, path, b"f", "folder", float(number))
            ledger.submissions.accept(submission, "b")
        turns, ids = ledger.turns, ["old", "new"]
        found = [
            turns.next_waiting(),
            turns.first_waiting(ids),
            turns.next_waiting(outside=[done]),
            turns.first_waiting(ids, outside=[done]),
            turns.next_waiting(outside=[claimed]),
            turns.next_waiting(outside=[done, claimed]),
        ]
    of_each = [image and image.image_id for image in found]
    assert of_each == ["old", "old", "new", "new", "old", None]
