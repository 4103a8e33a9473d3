"""The row of a score: numbers and codes as they are, woman and machine as keyed HMACs."""

import hmac
from dataclasses import replace

from edge.daemon.pipeline.scores import score_of
from edge.domain import Origin, Provenance
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from tests.support.verdicts import scored

KEY = b"a key of sixteen bytes or more"


def test_woman_and_machine_are_pseudonyms_under_the_key() -> None:
    bundle = verify(shipped_bundle())
    outcome = scored(0.75)
    outcome = replace(
        outcome,
        provenance=Provenance("NORTH\\4711", "HOLOGIC\\Selenia\\17", "hologic"),
        prediction=replace(outcome.prediction, origin=Origin("film", "header", measured=True)),
    )
    found = score_of(outcome, "i", "r", bundle, KEY)
    assert found.woman == hmac.digest(KEY, b"woman:NORTH\\4711", "sha256").hex()
    assert found.machine is not None
    assert len(found.machine) == 8
    assert found.machine != score_of(outcome, "i", "r", bundle, KEY * 2).machine
    assert (found.maker, found.domain, found.raw, found.threshold) == ("hologic", "film", 0.75, 0.5)
    assert found.model == bundle.manifest.files["model.tflite"]


def test_a_picture_without_a_header_has_no_woman() -> None:
    found = score_of(scored(0.25), "i", "r", verify(shipped_bundle()), KEY)
    assert (found.woman, found.machine, found.maker, found.domain) == (None, None, None, "unknown")
