"""Views become breasts and breasts an exam, in whatever order they come."""

from dataclasses import replace
from itertools import permutations

import pytest

from edge.domain import Domain
from edge.models.breasts import (
    Breast,
    View,
    breasts_of,
    complete,
    latest,
    mean_of,
    worst,
)
from edge.models.calibration import calibrate, calibrate_logit, logit
from edge.models.manifest import (
    DomainFit,
    Gate,
    KnownAnswer,
    ModelFile,
    OperatingPoint,
    Platt,
)

POINTS = {"default": OperatingPoint(threshold=0.5, band_low=0.4, band_high=0.6, chosen_on="x")}
SINGLE = Platt(slope=1, intercept=0.5)
PAIRED = DomainFit(calibration=Platt(slope=2, intercept=-1), operating_points=POINTS)
MODEL = ModelFile(
    quantization="float16",
    calibration=SINGLE,
    operating_points=POINTS,
    gate=Gate(min_breast_fraction=0.1, max_breast_fraction=0.9, min_contrast=0.2),
    known_answers=(KnownAnswer(image="x", raw=0.5),),
    tolerance={"litert": 0.01},
    reference_histogram=(0,) * 20,
    breasts={"film": PAIRED},
)
LEFT_CC = View(0.31, "film", "L", "CC")
LEFT_MLO = View(0.77, "film", "L", "MLO")
RIGHT_CC = View(0.13, "film", "R", "CC")
RIGHT_MLO = View(0.29, "film", "R", "MLO")
FOUR = (LEFT_CC, LEFT_MLO, RIGHT_CC, RIGHT_MLO)


def only(breasts: tuple[Breast, ...]) -> Breast:
    (breast,) = breasts
    return breast


def test_a_breast_has_the_calibrated_mean_of_the_logits_of_its_views() -> None:
    breast = only(breasts_of((LEFT_CC, LEFT_MLO), MODEL))
    mean = (logit(0.31) + logit(0.77)) / 2
    assert breast.laterality == "L"
    assert breast.mean.projections == ("CC", "MLO")
    assert breast.mean.logit == pytest.approx(mean)
    assert breast.malignant == pytest.approx(calibrate_logit(mean, PAIRED.calibration))


def test_all_24_orders_of_arrival_give_the_same_bits() -> None:
    found = {breasts_of(order, MODEL).__repr__() for order in permutations(FOUR)}
    assert len(found) == 1


@pytest.mark.parametrize("missing", FOUR)
def test_an_exam_is_complete_with_both_views_of_both_breasts(missing: View) -> None:
    assert complete(FOUR)
    assert not complete(view for view in FOUR if view is not missing)


def test_repeats_of_a_view_weigh_no_more_than_the_other_view() -> None:
    again = replace(LEFT_CC, raw=0.6)
    breast = only(breasts_of((LEFT_CC, LEFT_MLO, again), MODEL))
    of_cc = (logit(0.31) + logit(0.6)) / 2
    assert breast.mean.logit == pytest.approx((of_cc + logit(0.77)) / 2)


def test_of_one_object_the_last_image_counts_alone() -> None:
    first, second = (replace(LEFT_CC, raw=raw, copy_of="one") for raw in (0.2, 0.9))
    assert latest((first, LEFT_MLO, second)) == [LEFT_MLO, second]
    breast = only(breasts_of((first, LEFT_MLO, second), MODEL))
    assert breast.mean.logit == pytest.approx((logit(0.9) + logit(0.77)) / 2)


def test_an_object_sent_again_as_another_view_leaves_its_former_place() -> None:
    wrong, right = replace(LEFT_CC, copy_of="one"), replace(RIGHT_CC, copy_of="one")
    assert only(breasts_of((wrong, right), MODEL)).laterality == "R"


@pytest.mark.parametrize("view", ["XCCL", "XCCM", "XCC", "ML", "LM", "SIO", "ISO", "CV", "AT"])
def test_other_views_change_neither_score_nor_completeness(view: str) -> None:
    other = replace(LEFT_CC, raw=0.99, view=view)
    assert breasts_of((LEFT_CC, LEFT_MLO, other), MODEL) == breasts_of(FOUR[:2], MODEL)
    assert not complete((other, LEFT_MLO, RIGHT_CC, RIGHT_MLO))
    assert breasts_of((other,), MODEL) == ()


def test_views_from_below_count_as_their_own_projection() -> None:
    assert complete((replace(LEFT_CC, view="FB"), replace(LEFT_MLO, view="LMO"), *FOUR[2:]))


@pytest.mark.parametrize(
    "unknown",
    [
        replace(LEFT_CC, partial=True),
        replace(LEFT_CC, laterality=None),
        replace(LEFT_CC, view=None),
    ],
)
def test_an_image_of_unknown_place_or_of_a_part_is_not_averaged(unknown: View) -> None:
    assert breasts_of((unknown,), MODEL) == ()
    assert not complete((unknown, *FOUR[1:]))


def test_a_breast_with_one_view_has_the_score_of_that_image() -> None:
    assert only(breasts_of((LEFT_MLO,), MODEL)).malignant == calibrate(0.77, SINGLE)


def test_a_single_view_has_the_calibration_of_its_domain() -> None:
    own = DomainFit(calibration=Platt(slope=3, intercept=0), operating_points=POINTS)
    model = MODEL.model_copy(update={"by_domain": {"film": own}})
    assert only(breasts_of((LEFT_MLO,), model)).malignant == calibrate(0.77, own.calibration)


@pytest.mark.parametrize("domain", ["digital", "unknown"])
def test_a_domain_without_breast_calibration_has_no_score(domain: Domain) -> None:
    views = [replace(view, domain=domain) for view in FOUR]
    assert breasts_of(views, MODEL) == ()
    assert breasts_of(views[:1], MODEL) == ()


def test_views_of_several_domains_make_no_breast() -> None:
    assert mean_of((LEFT_CC, replace(LEFT_MLO, domain="digital"))) is None


def test_the_higher_breast_is_the_exam_s_and_of_equals_the_left() -> None:
    left, right = breasts_of(FOUR, MODEL)
    assert worst((right, left)) == left
    equal = replace(right, malignant=left.malignant)
    assert worst((left, equal)) == left
    assert worst(()) is None


def test_no_view_shows_the_id_of_its_object() -> None:
    assert "1.2.3" not in repr(replace(LEFT_CC, copy_of="1.2.3"))
