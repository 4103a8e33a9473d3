"""What is said of a model by verdicts: by hand, with ties, with women of many images, with few."""

import json
import math
from dataclasses import replace
from random import Random

import pytest

from edge.models.pairs import Calls, Pair, Truth
from edge.models.performance import auc, calibration_error, look, measure
from edge.models.site_performance import GROUPS, report
from tests.support.pairs import BUNDLE, women


def pair(score: float, *, malignant: bool, woman: str | None = "w") -> Pair:
    truth: Truth = "malignant" if malignant else "benign"
    return Pair(
        truth,
        "biopsy",
        score_seen=False,
        bundle_id=BUNDLE,
        model="m",
        preprocess="p",
        raw=score,
        malignant=score,
        threshold=0.5,
        domain="digital",
        woman=woman,
    )


def test_the_area_is_the_share_of_pairs_in_the_right_order_and_a_tie_counts_half() -> None:
    found = auc(
        [
            pair(0.9, malignant=True, woman="a"),
            pair(0.4, malignant=True, woman="b"),
            pair(0.4, malignant=False, woman="c"),
            pair(0.1, malignant=False, woman="d"),
        ]
    )
    assert found.value == pytest.approx(3.5 / 4)


def test_a_single_woman_has_no_interval() -> None:
    found = auc([pair(0.9, malignant=True), pair(0.1, malignant=False)])
    assert (found.value, found.interval_95) == (1.0, (0.0, 1.0))


def test_scores_that_separate_the_fewest_women_are_not_sure_of_it() -> None:
    pairs = [
        pair(0.1 + 0.8 * malignant, malignant=bool(malignant), woman=f"{malignant}/{woman}")
        for malignant in (0, 1)
        for woman in range(10)
        for _ in range(3)
    ]
    found = auc(pairs)
    assert found.value == 1
    assert found.interval_95[0] < 0.85


def test_the_interval_holds_the_truth_also_with_few_women_and_a_good_model() -> None:
    """Obuchowski's own holds it in four of five such draws, at 10 women of 3 images a class."""
    generator, held, draws = Random(1), 0, 200  # noqa: S311 - simulated women
    for _ in range(draws):
        pairs = []
        for malignant in (0, 1):
            for woman in range(10):
                hers = generator.gauss(2.33 * malignant, 0.5**0.5)
                for _ in range(3):
                    score = 1 / (1 + math.exp(-(hers + generator.gauss(0, 0.5**0.5))))
                    name = f"{malignant}/{woman}"
                    pairs.append(pair(score, malignant=bool(malignant), woman=name))
        low, high = auc(pairs).interval_95
        held += low <= 0.95 <= high  # a distance of 2.33 standard deviations
    assert held / draws >= 0.95


def test_copies_of_a_woman_s_images_make_no_interval_narrower() -> None:
    once = women(100, 3)
    copies = [one for one in once for _ in range(4)]
    for rate in ("auc", "sensitivity", "specificity"):
        few, many = (getattr(measure(pairs), rate) for pairs in (once, copies))
        assert many.value == pytest.approx(few.value)
        assert many.interval_95 == pytest.approx(few.interval_95, abs=1e-9)


def test_as_many_women_of_one_image_make_it_narrower() -> None:
    once = women(100, 3)
    others = [replace(one, woman=f"{one.woman}/{copy}") for one in once for copy in range(4)]
    few, many = (measure(pairs).auc.interval_95 for pairs in (once, others))
    assert few[0] < many[0] < many[1] < few[1]


def test_rates_are_those_at_the_threshold_of_then() -> None:
    pairs = [
        pair(0.5, malignant=True, woman="a"),
        pair(0.4, malignant=True, woman="b"),
        pair(0.4, malignant=False, woman="c"),
        replace(pair(0.4, malignant=False, woman="d"), threshold=0.3),
        pair(0.1, malignant=False, woman="e"),
    ]
    found = measure(pairs)
    assert found.sensitivity.value == pytest.approx(1 / 2)
    assert found.specificity.value == pytest.approx(2 / 3)
    assert found.malignant_share == pytest.approx(2 / 5)


def test_a_rate_without_an_error_still_has_an_interval() -> None:
    pairs = [pair(0.9, malignant=True, woman=str(number)) for number in range(20)]
    found = measure([*pairs, pair(0.1, malignant=False, woman="x")])
    assert found.sensitivity.value == 1
    assert 0.8 < found.sensitivity.interval_95[0] < found.sensitivity.interval_95[1] <= 1


def test_a_sure_and_wrong_score_is_off_by_all() -> None:
    assert calibration_error([pair(1.0, malignant=False)]) == 1
    assert calibration_error([pair(1.0, malignant=True)]) == 0


@pytest.mark.parametrize(
    ("images", "of", "enough"), [(30, 10, True), (29, 10, False), (30, 9, False)]
)
def test_nothing_is_said_below_30_images_of_10_women_a_class(
    images: int, of: int, *, enough: bool
) -> None:
    benign = [pair(0.2, malignant=False, woman=f"b{number % 50}") for number in range(100)]
    malignant = [pair(0.8, malignant=True, woman=f"m{number % of}") for number in range(images)]
    found = look([*benign, *malignant])
    assert (found.performance is not None) is enough
    if not enough:
        assert found.why_not == (
            f"{images} malignant images of {of} women, expected at least 30 of 10: "
            "fewer say too little"
        )


def test_an_image_of_an_unknown_woman_is_refused_and_left_out_of_the_report() -> None:
    unknown = [pair(0.2, malignant=False, woman=None)] * 40
    with pytest.raises(ValueError, match="no woman"):
        look(unknown)
    found = report([*women(200, 1), *unknown], BUNDLE, {}, None)
    assert found["left_out"] == {"other_bundle": 0, "no_woman": 40}
    assert found["malignant"] == report(women(200, 1), BUNDLE, {}, None)["malignant"]


def test_verdicts_on_another_bundle_s_scores_are_left_out() -> None:
    other = women(200, 2, bundle_id="c" * 64)
    found = report([*women(200, 1), *other], BUNDLE, {}, None)
    assert found["performance"] == report(women(200, 1), BUNDLE, {}, None)["performance"]
    assert found["left_out"]["other_bundle"] == len(other)


@pytest.mark.parametrize("by", GROUPS)
def test_groups_add_up_to_the_whole(by: str) -> None:
    pairs = women(200, 1)
    found = report(pairs, BUNDLE, {}, by)
    for truth in ("malignant", "benign"):
        images = [group[truth]["images"] for group in found["by"].values()]
        assert sum(images) == found[truth]["images"]
    json.dumps(found)


def test_bias_and_blinding_are_named_with_their_numbers() -> None:
    pairs = [replace(one, score_seen=True) for one in women(200, 1)]
    found = report(pairs, BUNDLE, {True: Calls(300, 200), False: Calls(9000, 100)}, None)
    bias, blinding, _ = found["caveats"]
    assert "verification bias: 200 of 300 images called malignant" in bias
    assert "100 of 9000 others" in bias
    assert f"{len(pairs)} of {len(pairs)} verdicts are by somebody who had seen" in blinding
    *_, one_breast = report(pairs, BUNDLE, {}, None, "exams")["caveats"]
    assert "where one breast alone was scored" in one_breast


def test_no_verdict_at_all_is_no_error() -> None:
    found = report([], None, {}, "view")
    assert found["performance"] is None
    assert found["why_not"].startswith("0 malignant images of 0 women and 0 benign images")
