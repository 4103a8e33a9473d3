"""Exams get names that only whoever has the key can lead back."""

import hmac
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from edge.daemon.pipeline.exam_names import ExamNames
from edge.domain import Identity, Provenance, Result
from edge.models.bundle import Bundle
from edge.storage.names import claim_name, exam_before_claim, name_before_claim
from tests.support.exam_ledger import MODEL, PLAIN
from tests.support.verdicts import DECIDED

KEY = b"0123456789abcdef"
NAMES = ExamNames(KEY)
UID = "1.2.840.1"


def bundle(model: object) -> Bundle:
    manifest = SimpleNamespace(default_model="model.tflite", model_of=lambda _: model)
    return cast("Bundle", SimpleNamespace(manifest=manifest, bundle_id="b"))


def seen(woman: str | None) -> Result:
    known = Provenance(woman, None, None)
    return replace(DECIDED, identity=Identity("1.2.840.2", UID), provenance=known)


def test_a_study_s_name_is_the_hmac_that_results_have_as_subject() -> None:
    found = NAMES.membership(seen(None), bundle(MODEL))
    assert found is not None
    assert found.study == hmac.digest(KEY, UID.encode(), "sha256").hex()
    assert found.patient is None


def test_patients_are_told_apart_by_issuer_and_id_together() -> None:
    told = ["\\17", "A\\17", "A1\\7", "A\\17"]
    found = [NAMES.membership(seen(one), bundle(MODEL)) for one in told]
    hashes = [one.patient for one in found if one]
    assert len(set(hashes)) == 3
    assert hashes[1] == hashes[3]


def test_a_model_without_breasts_makes_no_exam() -> None:
    assert NAMES.membership(seen(None), bundle(PLAIN)) is None


def test_only_a_folder_below_the_inbox_is_an_exam_and_only_if_asked_for() -> None:
    inbox = Path("/srv/inbox")
    names = ExamNames(KEY, inbox)
    assert NAMES.of_file(inbox / "a/1.dcm") is None
    assert names.of_file(inbox / "1.dcm") is None
    first = names.of_file(inbox / "a/b/1.dcm")
    assert first == names.of_file(inbox / "a/b/2.dcm") != names.of_file(inbox / "a/1.dcm")


def test_a_kill_loses_no_folder_its_exam_stands_in_the_name_of_the_claimed_file() -> None:
    exam = "a1" * 32
    claimed = Path("claimed") / f"f-{claim_name('f@lm ü.dcm'.encode() * 40, exam)}"
    assert exam_before_claim(claimed) == exam[:32]
    assert name_before_claim(claimed).startswith("f@lm ü.dcm".encode())
    assert len(claimed.name) < 255
    assert exam_before_claim(Path(f"f-{claim_name(b'film@home.dcm')}")) is None


def test_a_sender_s_reference_is_no_study_s_name_and_no_woman_s() -> None:
    woman = NAMES.membership(seen("A\\17"), bundle(MODEL))
    assert woman is not None
    asked = {NAMES.of_request(text) for text in (UID, "woman:A\\17")}
    assert asked.isdisjoint({woman.study, woman.patient})


def test_a_woman_is_known_also_where_no_study_is() -> None:
    nameless = replace(seen("A\\17"), identity=None)
    found = NAMES.membership(nameless, bundle(MODEL))
    assert found is not None
    assert (found.study, found.patient is None) == (None, False)


def test_a_folder_has_one_name_by_whichever_link_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "real/a").mkdir(parents=True)
    (tmp_path / "inbox").symlink_to(tmp_path / "real")
    names = ExamNames(KEY, tmp_path / "inbox")
    assert names.of_file(tmp_path / "real/1.dcm") is None
    ways = {names.of_file(tmp_path / way / "a/1.dcm") for way in ("real", "inbox")}
    assert len(ways) == 1
    assert ways != {None}


def test_no_name_shows_the_key() -> None:
    assert KEY.decode() not in repr(NAMES)
