"""The published JSON: what is the same everywhere, what differs, and what is never in it."""

import hashlib
import hmac
import json
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from edge.contract.render import (
    Occasion,
    Sender,
    encode,
    readdress,
    render,
    result_id,
    without_heatmap,
)
from edge.contract.result import schema
from edge.domain import (
    Box,
    Decision,
    Finding,
    HeatMap,
    Identity,
    ImageFacts,
    Numbering,
    Origin,
    Prediction,
    Rejection,
    Result,
    Runtime,
    Timing,
)
from edge.errors import Reason
from edge.models.active import shipped_bundle
from edge.models.bundle import Bundle, verify
from edge.models.manifest import MANIFEST

IMAGE: Final = hashlib.sha256(b"image").hexdigest()
LEDGER: Final = "5d0f7c0e-0000-4000-8000-000000000001"
KEY: Final = b"sixteen bytes or more"
UIDS: Final = Identity("1.2.840.1.42", "1.2.840.2.43")
OCCASION: Final = Occasion(IMAGE, 0, 1000.0, completed_at=1001.5, wait_s=0.25, total_s=1.5)
RUNTIME: Final = Runtime("litert", "model.tflite", 1)
FACTS: Final = ImageFacts(320, 240, 16, "MONOCHROME2", "dicom", "L", "MLO", "RLE Lossless")
MAP: Final = HeatMap(((0.12345, -1.0), (2.0, 0.5)), Box(1, 2, 3, 4))
SCORED: Final = Result(
    FACTS,
    Prediction(0.7, 0.6, Decision("default", 0.5, 0.4, 0.6), MAP),
    RUNTIME,
    Timing(decode=3.0, prepare=2.0, infer=1.0),
    UIDS,
)
REJECTED: Final = Rejection(
    Reason.COLOUR, "the picture is in colour, expected grey", FACTS, RUNTIME, identity=UIDS
)
NUMBERING: Final = Numbering(7, LEDGER, "folder", 1000.0)
SENDER: Final = Sender("north", "edge-1")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return verify(shipped_bundle())


def checked(message: dict[str, Any]) -> dict[str, Any]:
    """The message as a subscriber reads it."""
    read: dict[str, Any] = json.loads(encode(message))
    jsonschema.Draft202012Validator(schema()).validate(read)
    return read


def test_a_score_is_published_with_everything_it_was_made_of(bundle: Bundle) -> None:
    message = checked(render(SCORED, OCCASION, bundle, SENDER, NUMBERING))
    assert (message["outcome"], message["score"]) == ("malignant", {"malignant": 0.7, "raw": 0.6})
    assert message["decision"] == {
        "operating_point": "default",
        "threshold": 0.5,
        "band": [0.4, 0.6],
    }
    assert (message["seq"], message["ledger_id"], message["site"], message["device"]) == (
        7,
        LEDGER,
        "north",
        "edge-1",
    )
    assert (message["model"]["bundle"], message["model"]["file"]) == (
        bundle.bundle_id,
        "model.tflite",
    )
    assert message["timing_ms"] == {
        "wait": 250.0,
        "decode": 3.0,
        "prepare": 2.0,
        "infer": 1.0,
        "total": 1500.0,
    }
    assert message["heatmap"] == {"values": [[0.123, -1.0], [2.0, 0.5]], "box": [1, 2, 3, 4]}
    assert (message["source"], message["completed_at"]) == (
        {"kind": "folder", "received_at": "1970-01-01T00:16:40Z"},
        "1970-01-01T00:16:41.500000Z",
    )


def test_a_withheld_label_says_why_and_keeps_score_and_map(bundle: Bundle) -> None:
    prediction = replace(
        SCORED.prediction,
        origin=Origin("digital", "header", measured=False),
        withheld="domain-unmeasured",
    )
    message = checked(render(replace(SCORED, prediction=prediction), OCCASION, bundle, SENDER))
    assert (message["outcome"], message["decision"]["withheld"]) == (
        "indeterminate",
        "domain-unmeasured",
    )
    assert message["domain"] == {"kind": "digital", "known_by": "header", "measured": False}
    assert message["score"] == {"malignant": 0.7, "raw": 0.6}
    assert "heatmap" in message


def test_findings_are_published_with_place_size_and_probability(bundle: Bundle) -> None:
    peak = Finding(100.04, 50.0, Box(90, 40, 110.25, 60), 0.7)
    prediction = replace(SCORED.prediction, findings=(peak,))
    message = checked(render(replace(SCORED, prediction=prediction), OCCASION, bundle, SENDER))
    assert message["findings"] == [
        {"x": 100.0, "y": 50.0, "box": [90.0, 40.0, 110.2, 60.0], "probability": 0.7}
    ]
    assert "findings" not in render(SCORED, OCCASION, bundle, SENDER)


def test_an_indeterminate_result_keeps_its_score(bundle: Bundle) -> None:
    undecided = replace(SCORED, prediction=replace(SCORED.prediction, malignant=0.45))
    message = checked(render(undecided, OCCASION, bundle, SENDER, NUMBERING))
    assert (message["outcome"], message["score"]["malignant"], message["gate"]["passed"]) == (
        "indeterminate",
        0.45,
        True,
    )


def test_a_rejection_has_no_score_and_exactly_one_reason(bundle: Bundle) -> None:
    message = checked(render(REJECTED, OCCASION, bundle, SENDER, NUMBERING))
    assert (message["outcome"], message["score"], message["decision"]) == ("rejected", None, None)
    assert message["gate"] == {
        "passed": False,
        "reasons": ["colour image: the picture is in colour, expected grey"],
    }
    assert "heatmap" not in message


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_published_as_it_is_called(bundle: Bundle, reason: Reason) -> None:
    message = checked(render(Rejection(reason, "detail"), OCCASION, bundle, SENDER, NUMBERING))
    assert message["gate"]["reasons"] == [f"{reason.value}: detail"]
    assert (message["image"], message["runtime"]) == (None, None)


def test_the_result_id_is_the_same_on_every_device_at_any_time(bundle: Bundle) -> None:
    here = render(SCORED, OCCASION, bundle, SENDER, NUMBERING)
    later = replace(OCCASION, received_at=2000.0, completed_at=2002.0, wait_s=1.0, total_s=2.0)
    there = render(
        SCORED,
        later,
        bundle,
        Sender("south", "edge-2", KEY),
        replace(NUMBERING, seq=1, ledger_id=str(uuid.uuid4()), source="mqtt"),
    )
    assert here["result_id"] == there["result_id"] == result_id(IMAGE, bundle, 0)


def test_the_result_id_depends_on_image_bundle_preprocessing_and_generation(
    bundle: Bundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"version": "another"}))
    other_bundle = verify(folder)
    spec = replace(bundle.manifest.input, percentile_low=bundle.manifest.input.percentile_low + 1)
    other_preparation = replace(bundle, manifest=bundle.manifest.model_copy(update={"input": spec}))
    ids = {
        result_id(IMAGE, bundle, 0),
        result_id(hashlib.sha256(b"another").hexdigest(), bundle, 0),
        result_id(IMAGE, other_bundle, 0),
        result_id(IMAGE, other_preparation, 0),
        result_id(IMAGE, bundle, 1),
    }
    assert len(ids) == 5
    assert {uuid.UUID(found).version for found in ids} == {5}


def test_without_a_key_there_is_no_subject(bundle: Bundle) -> None:
    assert "subject" not in render(SCORED, OCCASION, bundle, SENDER, NUMBERING)


@pytest.mark.parametrize("outcome", [SCORED, REJECTED])
def test_with_a_key_the_subject_is_the_hmac_of_each_uid(
    bundle: Bundle, outcome: Result | Rejection
) -> None:
    message = checked(
        render(outcome, OCCASION, bundle, replace(SENDER, subject_key=KEY), NUMBERING)
    )
    expected = [
        hmac.new(KEY, uid.encode(), hashlib.sha256).hexdigest()
        for uid in (UIDS.sop_instance_uid, UIDS.study_instance_uid)
    ]
    assert [message["subject"]["image"], message["subject"]["exam"]] == expected


def test_an_image_without_uids_has_no_subject_whatever_the_key(bundle: Bundle) -> None:
    assert "subject" not in render(
        replace(SCORED, identity=None),
        OCCASION,
        bundle,
        replace(SENDER, subject_key=KEY),
        NUMBERING,
    )


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("outcome", [SCORED, REJECTED])
def test_uids_and_the_key_never_stand_in_a_message(
    bundle: Bundle, outcome: Result | Rejection, key: bytes | None
) -> None:
    payload = encode(render(outcome, OCCASION, bundle, replace(SENDER, subject_key=key), NUMBERING))
    assert not any(
        secret in payload
        for secret in (UIDS.sop_instance_uid.encode(), UIDS.study_instance_uid.encode(), KEY)
    )
    assert UIDS.sop_instance_uid not in repr(outcome)


def test_readdress_changes_numbering_and_source_and_nothing_else(bundle: Bundle) -> None:
    payload = encode(
        render(SCORED, OCCASION, bundle, SENDER, replace(NUMBERING, supersedes=str(uuid.uuid4())))
    )
    again = json.loads(
        readdress(payload, Numbering(9, str(uuid.uuid4()), "mqtt", 1234.5, duplicate_of=7))
    )
    first = json.loads(payload)
    assert {name for name in first if first[name] != again[name]} == {
        "seq",
        "ledger_id",
        "duplicate_of",
        "source",
    }
    assert list(again) == list(first)
    assert (again["seq"], again["duplicate_of"]) == (9, 7)
    assert again["source"] == {"kind": "mqtt", "received_at": "1970-01-01T00:20:34.500000Z"}
    checked(again)


def test_readdress_writes_times_as_render_does(bundle: Bundle) -> None:
    for moment in (1000.0, 1000.5, 1.7e9 + 0.123456):
        numbering = replace(NUMBERING, received_at=moment)
        payload = encode(
            render(SCORED, replace(OCCASION, received_at=moment), bundle, SENDER, numbering)
        )
        assert readdress(payload, numbering) == payload


def test_without_heatmap_drops_the_heat_map_and_nothing_else(bundle: Bundle) -> None:
    payload = encode(render(SCORED, OCCASION, bundle, SENDER, NUMBERING))
    whole, smaller = json.loads(payload), json.loads(without_heatmap(payload))
    assert whole.pop("heatmap")
    assert smaller == whole
    assert without_heatmap(encode(smaller)) == encode(smaller)


def test_a_sender_that_wants_no_heat_map_sends_none(bundle: Bundle) -> None:
    assert "heatmap" not in render(
        SCORED, OCCASION, bundle, replace(SENDER, heatmap=False), NUMBERING
    )


@pytest.mark.parametrize("completed_at", [1.0, 1.79e9], ids=["back", "ahead"])
def test_a_clock_that_is_set_while_an_image_waits_makes_no_duration(
    bundle: Bundle, completed_at: float
) -> None:
    jumped = replace(OCCASION, completed_at=completed_at)
    timing = checked(render(SCORED, jumped, bundle, SENDER, NUMBERING))["timing_ms"]
    assert (timing["wait"], timing["total"]) == (250, 1500)


def test_outside_a_daemon_nothing_is_numbered_and_a_path_that_cannot_be_read_has_no_ids(
    bundle: Bundle,
) -> None:
    nobody = replace(OCCASION, image_id=None)
    message = checked(
        render(Rejection(Reason.MISSING, "Permission denied"), nobody, bundle, Sender())
    )
    assert [
        message[name] for name in ("image_id", "result_id", "seq", "ledger_id", "site", "device")
    ] == [None] * 6
    assert message["source"]["kind"] == "file"


def test_the_payload_is_compact_utf_8(bundle: Bundle) -> None:
    payload = encode(render(SCORED, OCCASION, bundle, SENDER, NUMBERING))
    assert b'", "' not in payload
    assert b"\n" not in payload
    assert encode({"site": "zürich"}) == '{"site":"zürich"}'.encode()


def test_flags_of_the_header_stand_in_the_gate_and_nowhere_else(bundle: Bundle) -> None:
    flagged = replace(SCORED, facts=replace(FACTS, flags=("implant", "burned-in-annotation")))
    message = checked(render(flagged, OCCASION, bundle, SENDER, NUMBERING))
    assert message["gate"] == {
        "passed": True,
        "reasons": [],
        "flags": ["implant", "burned-in-annotation"],
    }
    assert "flags" not in message["image"]


def test_a_message_without_flags_is_as_it_always_was(bundle: Bundle) -> None:
    message = checked(render(SCORED, OCCASION, bundle, SENDER, NUMBERING))
    assert message["gate"] == {"passed": True, "reasons": []}
