"""Pieces of films: they hold the lesion that they are about, and say where it is."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.films_drawn import film, lesion, prepared
from train.data.films import Prepared
from train.fitting import pieces
from train.recipe import Dense

HOW = Dense(
    steps=4,
    height=96,
    width=64,
    channels=8,
    dropout=0.25,
    learning_rate=1e-3,
    head_learning_rate=1e-3,
    warmup_steps=1,
    weight_decay=0.01,
    clip_norm=1.0,
    ema=0.9,
)


@pytest.fixture
def films() -> Prepared:
    """A grey breast of 192 x 128 with a white malignant mass and, below it, a benign one."""
    image = np.full((1, 192, 128), 0.3, np.float32)
    image[0, 40:64, 30:54] = 1.0
    known = (lesion(30, 40, 54, 64), lesion(80, 150, 100, 170, malignant=False))
    return prepared([film(0, malignant=True, lesions=known)], image)


def test_marks_are_the_boxes_of_the_prepared_film(films: Prepared) -> None:
    first, second = pieces.marks(films, 0)
    assert (first.x, first.y, first.half_width, first.half_height) == (42, 52, 12, 12)
    assert (first.malignant, second.malignant) == (1, 0)


def test_lesion_outside_of_the_crop_is_no_mark() -> None:
    outside = (lesion(300, 40, 320, 60), lesion(10, 10, 30, 30))
    drawn = prepared([film(0, malignant=True, lesions=outside)], np.ones((1, 192, 128)))
    assert len(pieces.marks(drawn, 0)) == 1


def test_every_piece_holds_a_malignant_lesion_where_the_film_has_one(films: Prepared) -> None:
    marks = pieces.marks(films, 0)
    for seed in range(40):
        piece = pieces.cut(films.images[0], marks, 1.0, HOW, np.random.default_rng(seed))
        assert piece.picture.shape == (96, 64)
        assert piece.targets.malignant.sum() == pytest.approx(1)
        assert piece.malignant == 1 - pieces.SMOOTHED


def test_target_lies_on_the_lesion_however_the_piece_is_turned(films: Prepared) -> None:
    marks = pieces.marks(films, 0)[:1]
    brighter = 0
    for seed in range(40):
        piece = pieces.cut(films.images[0], marks, 1.0, HOW, np.random.default_rng(seed))
        cells = piece.picture.reshape(6, 16, 4, 16).mean(axis=(1, 3))
        brighter += cells[piece.targets.lesion > 0].max() >= np.percentile(cells, 90)
    assert brighter >= 38


def test_some_pieces_show_breast_without_any_lesion(films: Prepared) -> None:
    marks = pieces.marks(films, 0)[:1]
    how = replace(HOW, without_lesion=1.0)
    labels = [
        pieces.cut(films.images[0], marks, 1.0, how, np.random.default_rng(seed)).malignant
        for seed in range(40)
    ]
    assert labels.count(pieces.SMOOTHED) > 20


def test_film_without_boxes_is_taught_by_its_label() -> None:
    drawn = prepared([film(0, malignant=True)], np.full((1, 192, 128), 0.5))
    piece = pieces.cut(drawn.images[0], (), 1.0, HOW, np.random.default_rng(0))
    assert piece.malignant == 1 - pieces.SMOOTHED
    assert not piece.targets.lesion.any()


def test_same_generator_cuts_the_same_piece(films: Prepared) -> None:
    marks = pieces.marks(films, 0)
    one, two = (
        pieces.cut(films.images[0], marks, 1.0, HOW, np.random.default_rng(3)) for _ in range(2)
    )
    assert np.array_equal(one.picture, two.picture)
    assert np.array_equal(one.targets.stacked(), two.targets.stacked())


def test_opinion_of_the_reader_softens_a_lesions_target(films: Prepared) -> None:
    number = next(row for row, film in enumerate(films.films) if film.lesions)
    proven = [mark.malignant for mark in pieces.marks(films, number)]
    told = (0.5,) * len(films.films[number].lesions)
    softened = [mark.malignant for mark in pieces.marks(films, number, told, 0.4)]
    assert softened == [0.6 * value + 0.4 * 0.5 for value in proven]


def test_film_whose_lesions_are_not_marked_is_shown_whole_and_teaches_by_its_label() -> None:
    image = np.zeros((1, 192, 128), np.float32)
    image[0, 8:184, 8:120] = 0.4
    image[0, 160:176, 96:112] = 1.0
    bare = prepared([film(0, malignant=True)], image)
    assert pieces.known_lesions(bare, 0) is None
    for seed in range(20):
        piece = pieces.cut(bare.images[0], None, 1.0, HOW, np.random.default_rng(seed))
        assert piece.picture.shape == (96, 64)
        assert (piece.picture > 0).mean() > 0.5
        assert not piece.targets.stacked().any()
        assert piece.malignant == 1 - pieces.SMOOTHED


def test_normal_film_is_background_all_over() -> None:
    normal = prepared([film(0, malignant=False, abnormality="normal")], np.ones((1, 192, 128)))
    assert pieces.known_lesions(normal, 0) == ()
    piece = pieces.cut(normal.images[0], (), 0.0, HOW, np.random.default_rng(0))
    assert piece.targets.background.all()
    assert piece.malignant == pieces.SMOOTHED


def test_film_with_every_box_outside_of_the_crop_counts_as_not_marked() -> None:
    outside = prepared(
        [film(0, malignant=True, lesions=(lesion(300, 40, 320, 60),))], np.ones((1, 192, 128))
    )
    assert pieces.known_lesions(outside, 0) is None
