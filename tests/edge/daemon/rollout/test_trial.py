"""What a new model is taken back for in its first images, and what not."""

import json
from dataclasses import replace
from typing import Final

import pytest

from edge.daemon.rollout.trial import Past, Trial, past_of
from edge.daemon.workers.verdict import Died, Interrupted, Verdict
from edge.domain import Rejection, Result
from edge.errors import Reason
from tests.support.verdicts import DECIDED, REFUSED, UNDECIDED

EMPTY: Final = Rejection(Reason.EMPTY, "")
SELDOM: Final = Past(images=100, refused=10, undecided=15)


def told(trial: Trial, verdicts: list[Verdict]) -> list[str]:
    """Every reason that was given."""
    return [
        why for number, verdict in enumerate(verdicts) if (why := trial.note(str(number), verdict))
    ]


def test_two_images_without_a_score_fail_a_model_and_the_last_reason_is_told() -> None:
    why = told(
        Trial("b", 20, Past()),
        [
            Died("worker ended by SIGSEGV"),
            DECIDED,
            Died("the model's output is nan, expected 0 to 1"),
        ],
    )
    assert why == [
        "2 of its first images got no score (the model's output is nan, expected 0 to 1)"
    ]


def test_one_image_that_fails_again_and_again_is_its_own_affair() -> None:
    trial = Trial("b", 20, Past())
    assert [trial.note("a", Died("x")) for _ in range(5)] == [None] * 5


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (REFUSED, "16 of its first 16 images were refused as no mammograms, 10 of 100 before"),
        (UNDECIDED, "16 of its first 16 images were indeterminate, 15 of 100 before"),
    ],
)
def test_nearly_all_refused_or_undecided_fails_a_model_as_soon_as_it_is_certain(
    verdict: Verdict, why: str
) -> None:
    assert told(Trial("b", 20, SELDOM), [verdict] * 16) == [why]


@pytest.mark.parametrize(
    ("images", "past", "verdicts"),
    [
        (
            20,
            SELDOM,
            [REFUSED] * 15 + [DECIDED] * 5 + [REFUSED] * 20,
        ),  # three quarters, and the trial is over
        (20, Past(100, 60, 60), [REFUSED] * 20),  # it was so before
        (20, Past(9, 0, 0), [REFUSED] * 20),  # nothing to compare with
        (9, SELDOM, [REFUSED] * 9),  # too few
        (20, SELDOM, [EMPTY] * 20),  # no model's fault
        (20, SELDOM, [Interrupted("x")] * 30),
        (0, SELDOM, [Died("x")] * 5),
    ],
)
def test_what_says_nothing_about_a_model_is_not_held_against_it(
    images: int, past: Past, verdicts: list[Verdict]
) -> None:
    assert told(Trial("b", images, past), verdicts) == []


def test_interrupted_work_does_not_shorten_a_trial() -> None:
    trial = Trial("b", 2, Past())
    assert told(trial, [Interrupted("x"), Interrupted("x"), DECIDED]) == []
    assert not trial.over
    trial.note("z", EMPTY)
    assert trial.over


def test_what_got_no_decision_is_remembered_until_it_has_one() -> None:
    trial = Trial("b", 20, Past())
    for image_id, verdict in (
        ("a", Died("x")),
        ("b", REFUSED),
        ("c", UNDECIDED),
        ("d", DECIDED),
        ("e", EMPTY),
        ("a", DECIDED),
    ):
        trial.note(image_id, verdict)
    assert trial.against == {"b": "refused", "c": "undecided"}


def test_the_past_is_what_other_models_said_last_each_image_once() -> None:
    def message(
        bundle: str, outcome: str, reason: str = "", duplicate_of: int | None = None
    ) -> bytes:
        reasons = [reason] if reason else []
        return json.dumps(
            {
                "model": {"bundle": bundle},
                "outcome": outcome,
                "gate": {"reasons": reasons},
                "duplicate_of": duplicate_of,
            }
        ).encode()

    payloads = [
        message("old", "rejected", "not a mammogram: colour"),
        message("old", "rejected", "truncated: x"),
        message("old", "indeterminate"),
        message("old", "indeterminate", duplicate_of=3),
        message("new", "rejected", "not a mammogram: x"),
    ]
    assert past_of(payloads, "new") == Past(images=3, refused=1, undecided=1)
    assert past_of([message("old", "benign")] * 150, "new").images == 100


def test_labels_that_are_withheld_where_nothing_was_measured_are_no_fault() -> None:
    assert isinstance(UNDECIDED, Result)
    prediction = replace(UNDECIDED.prediction, withheld="domain-unmeasured")
    assert told(Trial("b", 20, SELDOM), [replace(UNDECIDED, prediction=prediction)] * 20) == []
