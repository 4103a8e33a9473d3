"""Two bundles side by side, and the refusal of one that knows nothing."""

from typing import Any

import pytest

from edge.errors import ConfigError
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.models.comparison import refuse_chance, side_by_side, worth
from edge.models.manifest import Manifest, Measured

GOOD = Measured(
    data="some films", images=664, malignant=300, patients=229, auc=0.8, interval_95=(0.75, 0.85)
)
CHANCE = GOOD.model_copy(update={"auc": 0.56, "interval_95": (0.46, 0.66)})


def manifest(measured: dict[str, Measured] | None, **fields: Any) -> Manifest:  # noqa: ANN401
    found = verify(shipped_bundle()).manifest
    models = {
        name: model.model_copy(update={"measured": measured})
        for name, model in found.models.items()
    }
    return found.model_copy(update={"models": models, **fields})


def test_a_bundle_that_names_domains_is_worth_what_it_was_measured_to_be() -> None:
    found = worth(manifest({"film": GOOD}, version="2.0.0"))
    assert found["measured"] == [
        {
            "domain": "film",
            "data": "some films",
            "images": 664,
            "patients": 229,
            "auc": 0.8,
            "interval_95": [0.75, 0.85],
        }
    ]
    assert found["median_ms"] > 0
    assert found["bytes"] > 0


def test_an_older_bundle_is_worth_what_its_own_test_says() -> None:
    (found,) = worth(manifest(None))["measured"]
    assert (found["domain"], found["images"]) == (None, 672)
    assert found["interval_95"][0] < found["auc"] < found["interval_95"][1]


@pytest.mark.parametrize("scores", [{}, {"test": "good"}, {"test": {"auc": 0.9}}])
def test_a_bundle_without_figures_says_nothing_and_passes(scores: dict[str, Any]) -> None:
    found = manifest(None, scores=scores, training={"files": [{"file": "other"}]})
    assert worth(found)["measured"] == []
    assert (worth(found)["median_ms"], worth(found)["bytes"]) == (None, None)
    refuse_chance(found)
    assert ["measured", "", "not said: nothing is known of its worth"] in side_by_side(
        worth(manifest(None)), worth(found)
    )


def test_a_bundle_that_is_nowhere_better_than_chance_is_refused_with_its_figures() -> None:
    with pytest.raises(ConfigError, match=r"digital: AUC 0\.560 \(0\.460 to 0\.660\), 664 images"):
        refuse_chance(manifest({"digital": CHANCE}))
    test = {"auc": 0.51, "intervals_95": {"auc": [0.4, 0.6]}, "images": 9, "patients": 9}
    with pytest.raises(ConfigError, match="no better than chance"):
        refuse_chance(manifest(None, scores={"test": test}))


def test_one_domain_that_it_knows_is_enough() -> None:
    refuse_chance(manifest({"film": GOOD, "digital": CHANCE}))


def test_old_and_new_stand_side_by_side_by_domain() -> None:
    before, after = manifest({"film": CHANCE}), manifest({"film": GOOD, "digital": GOOD})
    rows = {word: (old, new) for word, old, new in side_by_side(worth(before), worth(after))}
    assert list(rows) == ["model", "film", "digital", "cost"]
    assert rows["film"][0].startswith("AUC 0.560 (0.460 to 0.660), 664 images of 229 patients")
    assert rows["film"][1].startswith("AUC 0.800")
    assert rows["digital"][0] == "not measured"
    assert rows["cost"][0].endswith(" bytes")


def test_where_nothing_served_before_the_new_one_stands_alone() -> None:
    rows = side_by_side(None, worth(manifest({"film": GOOD})))
    assert {old for _, old, _ in rows} == {""}
