"""The split: by patient, deterministic, balanced, never leaking."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.data import split
from train.data.datasets import Film, Index, Label, Side
from train.data.split import Fractions
from train.errors import DataError

FRACTIONS = Fractions(validation=0.16, test=0.20)


def film(number: int, patient: int, label: Label, side: Side | None = None) -> Film:
    return Film(
        path=Path(f"{number}.png"),
        name=f"{number}.png",
        label=label,
        patient=f"p{patient}",
        split=side,
    )


def study(patients: int, films_each: int = 2) -> Index:
    labels: tuple[Label, Label] = ("benign", "malignant")
    films = (
        film(films_each * patient + number, patient, labels[patient % 2])
        for patient in range(patients)
        for number in range(films_each)
    )
    return Index("test", tuple(films))


def patients(films: tuple[Film, ...]) -> set[str]:
    return {each.patient for each in films}


@given(
    films=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["benign", "malignant"])),
        min_size=1,
        max_size=80,
    ),
    seed=st.integers(0, 1000),
)
def test_no_patient_ever_stands_on_two_sides(films: list[tuple[int, Label]], seed: int) -> None:
    index = Index(
        "test", tuple(film(number, patient, label) for number, (patient, label) in enumerate(films))
    )
    try:
        sides = split.assign(index, FRACTIONS, seed)
    except DataError:
        return  # too few patients for three sides
    train, validation, test = (patients(each) for each in sides.values())
    assert train.isdisjoint(validation | test)
    assert validation.isdisjoint(test)
    assert sum(map(len, sides.values())) == len(films)


def test_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    assert split.assign(study(100), FRACTIONS, 1) == split.assign(study(100), FRACTIONS, 1)
    assert split.assign(study(100), FRACTIONS, 1) != split.assign(study(100), FRACTIONS, 2)


def test_order_of_the_index_does_not_matter() -> None:
    index = study(100)
    turned = replace(index, films=index.films[::-1])
    assert patients(split.assign(index, FRACTIONS, 1)["test"]) == patients(
        split.assign(turned, FRACTIONS, 1)["test"]
    )


def test_sides_have_their_shares_of_both_classes() -> None:
    sides = split.assign(study(100), FRACTIONS, 1)
    assert [len(patients(each)) for each in sides.values()] == [64, 16, 20]
    for films in sides.values():
        assert sum(each.malignant for each in films) * 2 == len(films)


def test_given_split_is_kept() -> None:
    sides: tuple[Side, ...] = ("train", "validation", "test")
    labels: tuple[Label, ...] = ("benign", "malignant") * 3
    films = tuple(
        film(number, number, label, sides[number // 2]) for number, label in enumerate(labels)
    )
    found = split.assign(Index("test", films), FRACTIONS, 1)
    assert {side: [each.name for each in found[side]] for side in sides} == {
        "train": ["0.png", "1.png"],
        "validation": ["2.png", "3.png"],
        "test": ["4.png", "5.png"],
    }


def test_missing_validation_is_taken_out_of_training_never_out_of_test() -> None:
    films = tuple(
        replace(each, split="test" if number < 20 else "train")
        for number, each in enumerate(study(50).films)
    )
    sides = split.assign(Index("test", films), FRACTIONS, 1)
    assert patients(sides["test"]) == patients(films[:20])
    assert sides["validation"]


def test_pooled_data_without_a_split_are_shared_out_beside_those_with_one() -> None:
    given = tuple(
        replace(each, split="test" if number < 20 else "train")
        for number, each in enumerate(study(50).films)
    )
    free = tuple(
        replace(each, name=f"free-{each.name}", patient=f"q{each.patient}")
        for each in study(100).films
    )
    sides = split.assign(Index("test", given + free), FRACTIONS, 1)
    assert {name for name in patients(sides["test"]) if name.startswith("p")} == patients(
        given[:20]
    )
    alone = split.assign(Index("test", free), FRACTIONS, 1)
    assert {name for name in patients(sides["test"]) if name.startswith("q")} == patients(
        alone["test"]
    )


def test_woman_whose_side_one_data_set_gives_stands_there_with_her_films_of_the_other() -> None:
    given = tuple(
        replace(each, split="test" if number < 20 else "train")
        for number, each in enumerate(study(50).films)
    )
    again = tuple(replace(each, name=f"again-{each.name}") for each in study(50).films)
    sides = split.assign(Index("test", given + again), FRACTIONS, 1)
    assert patients(sides["test"]) == patients(given[:20])
    assert len(sides["test"]) == 40


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(DataError, match="no benign image on the train side, 4 patients in all"):
        split.assign(study(4), FRACTIONS, 1)
