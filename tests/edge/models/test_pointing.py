"""A bundle says how its map points, and one that points elsewhere too often is refused for it."""

import json
from typing import Any

import pytest

from edge.errors import ConfigError
from edge.models.manifest import Manifest
from edge.models.pointing import KEY, LEAST, demand_pointing, pointing_of
from tests.support.bundles import manifest
from tests.support.tools import ROOT


def bundle(played: object = None) -> Manifest:
    """The shipped manifest, with another pointing game."""
    fields = manifest()
    fields["scores"][KEY] = played
    return Manifest.model_validate(fields)


def played(hits: float) -> dict[str, Any]:
    return {"films": 40, "with_tolerance": {"hits": hits, "chance": 0.1}, "patients": 30}


def test_the_shipped_bundle_points_as_its_model_card_says() -> None:
    measured = json.loads((ROOT / "docs/runs/default/metrics.json").read_text())["pointing"]
    found = pointing_of(Manifest.model_validate(manifest()))
    assert found is not None
    assert (found.hits, found.films) == (measured["with_tolerance"]["hits"], measured["films"])
    assert found.hits >= LEAST
    assert f"{found.hits:.1%}" in (ROOT / "docs/quality/model-card.md").read_text()


@pytest.mark.parametrize("hits", [LEAST, 0.9])
def test_a_map_that_points_often_enough_may_be_shown(hits: float) -> None:
    found = demand_pointing(bundle(played(hits)))
    assert (found.hits, found.films) == (hits, 40)


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (played(0.59), r"lay on the lesion of 59\.0% of 40 malignant test films"),
        (None, r"bundle\.json has no scores\.pointing"),
        ({}, "no scores"),
        ({"films": 0}, "no scores"),
        ("well", "no scores"),
    ],
)
def test_any_other_is_refused_with_what_was_found_and_expected(measured: object, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^pacs\.map: .*{said}.*, expected at least 60%: "):
        demand_pointing(bundle(measured))
