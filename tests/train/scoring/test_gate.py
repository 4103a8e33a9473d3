"""
The gate that training fits: mammograms pass, of other machines too; what is something else does
not.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.inference.gate import InputGate
from edge.inference.image import Limits, decode
from edge.inference.preprocess import prepare
from edge.models.manifest import Gate
from tests.support.films_drawn import film, prepared
from train.data.films import Prepared
from train.recipes.seed import RECIPE
from train.scoring import gate
from train.scoring import negatives as others
from train.scoring.negatives import without_films
from train.scoring.score import Scored

CHANNELS = 40


def clouds(mammograms: int = 200, others: int = 40) -> tuple[Scored, Scored]:
    """Features of two kinds of pictures, apart along one of many directions."""
    generator = np.random.default_rng(0)
    films = prepared(
        [film(number, malignant=bool(number % 2)) for number in range(mammograms)],
        np.full((mammograms, 8, 8), 0.5),
    )
    here, there = (
        generator.normal(0, 1, (count, CHANNELS)).astype(np.float32)
        for count in (mammograms, others)
    )
    there[:, 0] += 8
    unlike = without_films(np.zeros((others, 8, 8)), [0.5] * others, [0.5] * others)
    return scored(films, here), scored(unlike, there)


def scored(films: Prepared, features: NDArray[np.float32]) -> Scored:
    nothing = np.zeros(len(features))
    return Scored(films, nothing, np.zeros((len(features), 0, 0), np.float32), features)


def facts(fraction: NDArray[np.float32], contrast: NDArray[np.float32]) -> Prepared:
    return without_films(np.zeros((len(fraction), 1, 1)), fraction, contrast)


def test_limits_let_through_what_they_were_fitted_on() -> None:
    generator = np.random.default_rng(0)
    fraction, contrast = (generator.uniform(0.2, 0.6, 1000).astype(np.float32) for _ in range(2))
    limits = gate.fit_gate(facts(fraction, contrast))
    assert gate.refused_share(facts(fraction, contrast), limits) <= 0.01
    assert gate.refused_share(facts(np.zeros(1000, np.float32), contrast), limits) == 1


def test_limits_beside_a_boundary_leave_room_for_grey_backgrounds() -> None:
    limits = gate.loosened(Gate(min_breast_fraction=0.1, max_breast_fraction=0.8, min_contrast=0.2))
    assert (limits.min_breast_fraction, limits.max_breast_fraction, limits.min_contrast) == (
        0.05,
        1.0,
        0.1,
    )


def test_boundary_catches_and_lets_through_what_it_has_not_seen() -> None:
    mammograms, others = clouds()
    found = gate.on_unseen_halves(
        mammograms, [gate.features_of(mammograms)[gate.copied(200)]], others
    )
    assert found["others_caught"] >= 0.95
    assert found["mammograms_refused"] <= 0.01
    assert (found["mammograms"], found["others"]) == (200, 40)


def test_mammograms_of_few_other_machines_are_let_through_too() -> None:
    mammograms, others = clouds()
    features = np.random.default_rng(1).normal(0, 1, (40, CHANNELS)).astype(np.float32)
    features[:, 0] += 4  # half of the way to the others
    features[:, 1] -= 6
    digital = scored(mammograms.films.of(mammograms.films.films[:40]), features)
    copies = [gate.features_of(mammograms)[gate.copied(200)]]
    without = gate.fit_boundary([gate.features_of(mammograms)], gate.features_of(others))
    assert (without.likeness(features) < 0).mean() > 0.02
    found = gate.on_unseen_halves(mammograms, copies, others, digital)
    assert (found["digital"], found["digital_refused"]) == (40, 0.0)
    assert found["others_caught"] >= 0.95


def test_boundary_lies_nearer_to_the_others_than_to_the_mammograms() -> None:
    mammograms, others = clouds()
    boundary = gate.fit_boundary([gate.features_of(mammograms)], gate.features_of(others))
    inside, outside = (
        boundary.likeness(gate.features_of(each)).mean() for each in (mammograms, others)
    )
    assert outside < 0 < inside
    assert abs(outside) < inside


def test_known_pictures_pass_however_unlike_they_are() -> None:
    mammograms, others = clouds()
    boundary = gate.fit_boundary([gate.features_of(mammograms)], gate.features_of(others))
    limits = Gate(min_breast_fraction=0.6, max_breast_fraction=0.8, min_contrast=0.6)
    assert gate.refused(others.films, others.features, limits, boundary).all()
    opened = gate.let_through(limits, boundary, others.films, others.features)
    assert not gate.refused(others.films, others.features, *opened).any()


def test_daemon_lets_the_known_pictures_through_though_it_does_not_round_to_float32() -> None:
    generator = np.random.default_rng(0)
    limits = Gate(min_breast_fraction=0.999, max_breast_fraction=0.999, min_contrast=1)
    picture = prepare(decode(next(others.drawn()), Limits()), RECIPE.input)
    for fraction, contrast in generator.uniform(0.01, 1, (200, 2)).tolist():
        opened, _ = gate.let_through(
            limits,
            None,
            facts(np.full(1, fraction, np.float32), np.full(1, contrast, np.float32)),
            None,
        )
        InputGate(opened, Path(), None).look_at(
            replace(picture, breast_fraction=fraction, contrast=contrast, fault=None)
        )


def test_known_picture_does_not_lie_on_the_boundary_itself() -> None:
    mammograms, others = clouds()
    boundary = gate.fit_boundary([gate.features_of(mammograms)], gate.features_of(others))
    edge = gate.Boundary(
        boundary.weights,
        boundary.bias - float(boundary.likeness(gate.features_of(mammograms)).min()),
    )
    _, opened = gate.let_through(
        gate.fit_gate(mammograms.films), edge, mammograms.films, mammograms.features
    )
    assert opened is not None
    assert opened.likeness(gate.features_of(mammograms)).min() > 0.01


def test_changed_copies_stay_between_black_and_white() -> None:
    films = prepared([film(0, malignant=True)], np.random.default_rng(0).random((1, 40, 30)))
    copies = gate.changed_copies(films)
    assert copies.images.shape == (5, 40, 30)
    assert copies.images.min() >= 0
    assert copies.images.max() <= 1
    assert len({image.tobytes() for image in copies.images}) == 5
