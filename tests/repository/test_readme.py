"""README.md is one page, and its figures and examples are the product's own."""

import json
import re
from typing import Any, Final

from deploy.demo.table import HEAD
from edge.models.bundle import verify
from tests.support.tools import ROOT

TEXT: Final = (ROOT / "README.md").read_text()
BUNDLE: Final = verify(ROOT / "edge/models/default")


def example() -> dict[str, Any]:
    """The result that the page shows."""
    block = re.search(r"^    \{\n(?:    .*\n)+?    \}$", TEXT, re.MULTILINE)
    assert block
    shown: dict[str, Any] = json.loads(block[0])
    return shown


def test_the_page_has_at_most_800_words() -> None:
    assert len(TEXT.split()) <= 800


def test_the_demo_s_output_has_the_demo_s_columns() -> None:
    (head,) = (line for line in TEXT.splitlines() if line.strip().startswith("mammogram "))
    assert head == f"    {HEAD}"


def test_the_result_is_one_of_the_shipped_model() -> None:
    shown = example()
    assert shown["model"]["bundle"] == BUNDLE.bundle_id
    assert shown["model"]["version"] == BUNDLE.manifest.version
    schema = json.loads((ROOT / "docs/reference/result.schema.json").read_text())
    assert set(schema["required"]) - set(shown) <= {"heatmap"}


def test_the_model_s_scores_are_those_of_its_bundle() -> None:
    manifest = BUNDLE.manifest
    test: dict[str, Any] = manifest.scores["test"]  # type: ignore[assignment]
    digital = (manifest.models[manifest.default_model].measured or {})["digital"]
    low, high = test["intervals_95"]["auc"]
    film_line = f"AUC {test['auc']:.3f} (95 % interval {low:.3f} to {high:.3f})"
    assert f"{film_line} on {test['patients']} patients" in TEXT
    low, high = digital.interval_95
    digital_line = f"AUC {digital.auc:.3f} ({low:.3f} to {high:.3f}) on {digital.images} mammograms"
    assert digital_line in TEXT
