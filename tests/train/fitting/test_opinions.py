"""The radiologist's opinion: told by the descriptors, never by the lesion's own outcome."""

from dataclasses import replace

from tests.support.films_drawn import film, lesion
from train.data.index import Film
from train.fitting import opinions


def described(number: int, *, malignant: bool, words: tuple[str, ...]) -> Film:
    box = replace(lesion(1, 1, 5, 5, malignant=malignant), descriptors=words)
    return film(number, malignant=malignant, lesions=(box,))


def some(count: int) -> list[Film]:
    """Spiculated masses, four of five malignant, and circumscribed ones, one of five."""
    return [
        described(
            number,
            malignant=(number % 5 > 0) == (number % 2 > 0),
            words=("margins SPICULATED" if number % 2 else "margins CIRCUMSCRIBED",),
        )
        for number in range(count)
    ]


def test_opinion_is_the_share_of_malignant_lesions_so_described() -> None:
    told = opinions.of_reader(some(400))
    assert all(abs((one or 0) - 0.8) < 0.06 for (one,) in told[1::2])
    assert all(abs((one or 0) - 0.2) < 0.06 for (one,) in told[::2])


def test_outcome_of_a_lesion_does_not_move_its_own_opinion() -> None:
    films = some(200)
    other = [described(1, malignant=not films[1].malignant, words=("margins SPICULATED",))]
    before, after = (opinions.of_reader(each) for each in (films, [films[0], *other, *films[2:]]))
    assert before[1] == after[1]


def test_lesion_without_descriptors_has_no_opinion() -> None:
    films = [*some(200), film(1000, malignant=True), described(1001, malignant=True, words=())]
    assert opinions.of_reader(films)[-2:] == ((), (None,))


def test_too_few_descriptors_tell_nothing() -> None:
    assert set(opinions.of_reader(some(opinions.FEWEST - 1))) == {(None,)}
