"""The ledger knows images by the names that their folders have now."""

import os
from pathlib import Path

from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Submission


def test_only_images_of_a_folder_that_has_another_name_now_get_another_place(
    tmp_path: Path,
) -> None:
    done, other, link = tmp_path / "done", tmp_path / "other", tmp_path / "link"
    (done / "below").mkdir(parents=True)
    other.mkdir()
    link.symlink_to(done)
    odd = os.fsdecode(b"\xff film'%.dcm")
    before = [link / odd, link / "below" / "film", other / "film", tmp_path / "gone" / "film"]
    ledger = Ledger(tmp_path / "state", [], lambda payload, _: payload)
    for path in before:
        claim = tmp_path / "claimed" / path.parent.name
        ledger.submissions.accept(Submission(claim.name, claim, b"film", "folder", 0.0), "b")
        ledger.images.relocate(claim.name, path)
    ledger.places.follow([tmp_path / "claimed", done])
    found = [ledger.images.path_of(path.parent.name) for path in before]
    assert found == [done / odd, *before[1:]]
    assert ledger.submissions.owns(done / odd)
    ledger.close()
