"""The order of films in batches: epochs, shares, and kinds that take turns."""

from collections import Counter
from dataclasses import replace

import numpy as np

from tests.support.dense import DENSE
from tests.support.films_drawn import film, prepared
from train.data.films import Prepared
from train.fitting.film_order import Order, smaller_copies


def pooled(*kinds: str) -> Prepared:
    """Make films by letters: f film with a mass, c film without, d digital; capital: malignant."""
    films = [
        film(
            number,
            malignant=kind.isupper(),
            domain="digital" if kind in "dD" else "film",
            abnormality="mass" if kind in "fF" else "calc",
        )
        for number, kind in enumerate("".join(kinds))
    ]
    return prepared(films, np.zeros((len(films), 4, 4)))


def order(films: Prepared, calcifications: float = 1.0, copies: float = 1.0) -> Order:
    mass = np.array([each.abnormality == "mass" for each in films.films])
    return Order(films, mass, replace(DENSE, calcifications=calcifications, copies=copies), seed=1)


def test_epoch_shows_each_film_with_a_mass_once_and_a_share_of_the_others() -> None:
    found = order(pooled("cc", "fFfF"), calcifications=0.5)
    for epoch in range(3):
        seen = [found.film(epoch * 5 + place) for place in range(5)]
        assert len(set(seen)) == 5
        assert {2, 3, 4, 5} < set(seen)


def test_smaller_copies_of_a_film_take_part_by_their_own_share() -> None:
    films = pooled("fFfFfF")
    names = ["a/1.png", "b/1.png", "a/2.png", "b/2.png", "a/3.png", "b/3.png"]
    twice = replace(
        films,
        films=tuple(
            replace(each, name=name, patient=name[2], laterality="L", view="CC")
            for each, name in zip(films.films, names, strict=True)
        ),
        geometry=tuple(
            replace(place, rows=place.rows // (1 + number % 2))
            for number, place in enumerate(films.geometry)
        ),
    )
    assert smaller_copies(twice).tolist() == [False, True] * 3
    found = order(twice, copies=1 / 3)
    for epoch in range(3):
        seen = [found.film(epoch * 4 + place) for place in range(4)]
        assert len(set(seen)) == 4
        assert {0, 2, 4} < set(seen)


def test_other_films_of_a_patient_are_no_copies() -> None:
    assert not smaller_copies(pooled("fFfF")).any()


def test_half_of_a_batch_is_film_and_half_of_the_digital_ones_malignant() -> None:
    films = pooled("fF", "D", "d" * 30)
    found = order(films)
    for batch in range(20):
        kinds = Counter(
            (films.films[number].domain, films.films[number].label == "malignant")
            for number in map(found.film, range(batch * 8, batch * 8 + 8))
        )
        assert sum(count for (domain, _), count in kinds.items() if domain == "film") == 4
        assert (kinds["digital", True], kinds["digital", False]) == (2, 2)


def test_every_kind_goes_through_epochs_of_its_own() -> None:
    films = pooled("fFfF", "DD", "ddd")
    found = order(films)
    seen = [found.film(place) for place in range(4 * 12)]
    assert Counter(seen) == {**dict.fromkeys(range(4), 6), 4: 6, 5: 6, 6: 4, 7: 4, 8: 4}
    assert sorted(seen[place] for place in (0, 2, 4, 6)) == [0, 1, 2, 3]


def test_digital_mammograms_alone_take_turns_by_class() -> None:
    found = order(pooled("D", "dddd"))
    assert [found.film(place) for place in range(0, 8, 2)] == [0] * 4
    assert sorted(found.film(place) for place in range(1, 8, 2)) == [1, 2, 3, 4]


def test_digital_mammograms_change_nothing_in_the_order_of_the_films() -> None:
    alone, together = order(pooled("fFfFcc"), 0.5), order(pooled("fFfFcc", "Dd"), 0.5)
    assert [together.film(2 * place) for place in range(20)] == [
        alone.film(place) for place in range(20)
    ]
