"""Index CSV and folder: what they read, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.domain import Box
from tests.support.tiny import write_index
from train.data import datasets, split
from train.data.datasets import Lesion, folder
from train.data.split import Fractions
from train.errors import DataError


def row(
    path: str = "a.png", label: str = "benign", patient: str = "p1", **more: str
) -> dict[str, str]:
    return {"path": path, "label": label, "patient": patient, **more}


def index(tmp_path: Path, *rows: dict[str, str]) -> datasets.Index:
    return datasets.load(write_index(tmp_path / "index.csv", list(rows)))


def both(**more: str) -> tuple[dict[str, str], dict[str, str]]:
    return row(**more), row("b.png", "malignant", "p2", **more)


def test_csv_keeps_order_labels_and_patients(tmp_path: Path) -> None:
    films = index(tmp_path, *both(view="CC")).films
    assert [(film.name, film.label, film.patient, film.view) for film in films] == [
        ("a.png", "benign", "p1", "CC"),
        ("b.png", "malignant", "p2", "CC"),
    ]
    assert films[0].path == tmp_path / "a.png"


def test_benign_without_callback_is_benign(tmp_path: Path) -> None:
    assert (
        index(tmp_path, row(label="BENIGN_WITHOUT_CALLBACK"), row("b.png", "MALIGNANT", "p2"))
        .films[0]
        .label
        == "benign"
    )


def test_several_lesions_in_one_film_keep_all_their_numbers(tmp_path: Path) -> None:
    assert index(tmp_path, *both(birads="4|5", subtlety="3")).films[0].birads == (4, 5)


def test_untrusted_size_takes_the_median_aspect_of_the_trusted(tmp_path: Path) -> None:
    films = index(
        tmp_path,
        row(rows="200", columns="100", size_confidence="1.0"),
        row("b.png", "malignant", "p2", rows="900", columns="100", size_confidence="0.5"),
    ).films
    assert [film.aspect for film in films] == [2.0, 2.0]


def test_without_confidence_every_size_is_trusted(tmp_path: Path) -> None:
    assert index(tmp_path, *both(rows="300", columns="100")).films[0].aspect == 3.0


def test_without_sizes_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    assert index(tmp_path, *both()).films[0].aspect is None


def test_descriptors_beside_the_index_go_to_lesions_that_are_alone(tmp_path: Path) -> None:
    (tmp_path / "index-lesions.csv").write_text(
        f"{LESIONS}a.png,BENIGN,mass,1,2,3,4\n"
        "b.png,MALIGNANT,mass,1,2,3,4\nb.png,BENIGN,mass,5,6,7,8\n"
    )
    (tmp_path / "descriptors.csv").write_text(
        "path,lesions_of_film,shape,margins,assessment\n"
        "a.png,1,OVAL,N/A,3\nb.png,2,ROUND,SPICULATED,5\nb.png,2,OVAL,SPICULATED,5\n"
    )
    first, second = index(tmp_path, *both()).films
    assert [lesion.descriptors for lesion in first.lesions] == [("shape OVAL", "birads 3")]
    assert [lesion.descriptors for lesion in second.lesions] == [(), ()]


LESIONS = "path,pathology,abnormality,xmin,ymin,xmax,ymax\n"


def test_lesions_beside_the_index_belong_to_their_films(tmp_path: Path) -> None:
    (tmp_path / "index-lesions.csv").write_text(
        f"{LESIONS}b.png,MALIGNANT,mass,1,2,3.5,4\nb.png,BENIGN_WITHOUT_CALLBACK,calcification,5,6,7,8\n"
    )
    first, second = index(tmp_path, *both()).films
    assert first.lesions == ()
    assert second.lesions == (
        Lesion(label="malignant", abnormality="mass", box=Box(1, 2, 3.5, 4)),
        Lesion(label="benign", abnormality="calcification", box=Box(5, 6, 7, 8)),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "b.png,MALIGNANT,mass,3,2,1,4",
            r"index-lesions\.csv:2: xmin, ymin, xmax, ymax is 3, 2, 1, 4, expected a box",
        ),
        (
            "b.png,MALIGNANT,mass,,2,1,4",
            r"index-lesions\.csv:2: xmin, ymin, xmax, ymax is -1, 2, 1, 4, expected a box",
        ),
        (
            "b.png,MAYBE,mass,1,2,3,4",
            r"index-lesions\.csv:2: pathology is MAYBE, expected benign or malignant",
        ),
        ("c.png,BENIGN,mass,1,2,3,4", r"index-lesions\.csv: c\.png is not in index\.csv"),
    ],
)
def test_wrong_lesions_are_refused_with_what_was_found(
    tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "index-lesions.csv").write_text(f"{LESIONS}{line}\n")
    with pytest.raises(DataError, match=message):
        index(tmp_path, *both())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            (row(), row("b.png", "maybe", "p2")),
            r"index\.csv:3: label is maybe, expected benign or malignant",
        ),
        ((row(patient=""), row("b.png", "malignant", "p2")), r"index\.csv:2: patient is empty"),
        ((row(), row("b.png", "benign", "p2")), "no malignant image among 2"),
        (both(domain="x-ray"), r"index\.csv:2: domain is x-ray, expected film or digital"),
        (both(split="exam"), r"index\.csv:2: split is exam, expected train, validation, test"),
        (
            both(rows="0", columns="10"),
            r"index\.csv:2: rows, columns is 0, 10, expected the original size",
        ),
        (both(birads="four"), r"index\.csv:2: birads is four"),
        ((row(), row("a.png", "malignant", "p2")), r"a\.png is listed 2 times"),
        (
            (row(split="train"), row("b.png", "malignant", "p2", split="")),
            "split is given for 1 of 2 images",
        ),
        (
            (row(split="train"), row("b.png", "malignant", "p1", split="test")),
            "patient p1 stands on both sides of the split",
        ),
    ],
)
def test_wrong_index_is_refused_with_what_was_found(
    tmp_path: Path, rows: tuple[dict[str, str], ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        index(tmp_path, *rows)


def test_one_film_under_two_patients_is_refused(tmp_path: Path) -> None:
    path = write_index(
        tmp_path / "index.csv", [row(), row("b.png", "malignant", "p2"), row("c.png", patient="p3")]
    )
    for name in ("b.png", "c.png"):
        (tmp_path / name).write_bytes(bytes(100_000))
    with pytest.raises(
        DataError,
        match=(
            r"b\.png and c\.png are the same bytes but belong to "
            r"patients p2 and p3; .* take one of them out"
        ),
    ):
        datasets.load(path)


def test_one_film_with_two_labels_is_refused(tmp_path: Path) -> None:
    path = write_index(tmp_path / "index.csv", [row(), row("b.png", "malignant", "p1")])
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"same")
    with pytest.raises(
        DataError, match=r"a\.png and b\.png are the same bytes but are benign and malignant"
    ):
        datasets.load(path)


def test_two_copies_of_a_patients_film_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_index(
        tmp_path / "index.csv", [row(), row("b.png"), row("c.png", "malignant", "p2")]
    )
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert len(datasets.load(path).films) == 3
    assert "a.png and b.png are the same bytes, of the same patient" in capsys.readouterr().err


def test_films_that_differ_in_one_byte_only_are_no_copies(tmp_path: Path) -> None:
    path = write_index(tmp_path / "index.csv", list(both()))
    pixels = bytearray(100_000)
    (tmp_path / "a.png").write_bytes(pixels)
    pixels[20_000] = 1  # none of the three samples holds it
    (tmp_path / "b.png").write_bytes(pixels)
    assert len(datasets.load(path).films) == 2


def test_missing_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = write_index(tmp_path / "index.csv", list(both()))
    (tmp_path / "b.png").unlink()
    with pytest.raises(DataError, match=r"index\.csv:3: path is b\.png, expected a file at"):
        datasets.load(path)


def test_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_text("path,label\na.png,benign\n")
    with pytest.raises(DataError, match="no column patient; found path, label"):
        datasets.load(path)


def test_nothing_there_is_said_with_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=(
            r"no such file or folder; expected one of: .*an index CSV "
            r"with the columns path, label, patient"
        ),
    ):
        datasets.load(tmp_path / "none")


def test_several_data_sets_are_pooled_and_their_women_stay_one_each(tmp_path: Path) -> None:
    one = write_index(tmp_path / "one.csv", list(both()))
    other = write_index(tmp_path / "other.csv", [row("c.png"), row("d.png", "malignant", "p2")])
    pooled = datasets.load((one, other))
    assert [film.name for film in pooled.films] == ["a.png", "b.png", "c.png", "d.png"]
    assert pooled.patients == {"p1", "p2"}
    assert pooled.source == f"{one} + {other}"
    assert [film.source for film in pooled.films] == ["one", "one", "other", "other"]


def test_index_csv_with_the_ids_of_cbis_ddsm_has_its_woman_of_two_ids_once(tmp_path: Path) -> None:
    rows = [row(patient="P_01138"), row("b.png", "malignant", "P_01136"), row("c.png")]
    assert [film.patient for film in index(tmp_path, *rows).films] == ["P_01136", "P_01136", "p1"]


def test_woman_of_two_ids_is_one_patient_across_two_data_sets(tmp_path: Path) -> None:
    one = write_index(tmp_path / "one.csv", [row(patient="P_01138"), row("b.png", "malignant")])
    other = write_index(
        tmp_path / "other.csv", [row("c.png", "malignant", "P_01136"), row("d.png")]
    )
    assert datasets.load((one, other)).patients == {"P_01136", "p1"}
    assert datasets.load(one).patients == {"P_01138", "p1"}, "alone she keeps her id and her side"


def test_woman_of_two_ids_on_two_given_sides_is_refused(tmp_path: Path) -> None:
    rows = [
        row(patient="P_01138", split="train"),
        row("b.png", "malignant", "P_01136", split="test"),
    ]
    with pytest.raises(DataError, match="patient P_01136 stands on both sides"):
        index(tmp_path, *rows)


def test_name_that_two_data_sets_have_in_common_is_told_apart(tmp_path: Path) -> None:
    sources = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        sources.append(write_index(tmp_path / name / f"{name}.csv", list(both())))
    assert [film.name for film in datasets.load(sources).films] == [
        "one/a.png",
        "one/b.png",
        "other/a.png",
        "other/b.png",
    ]


def test_folders_of_one_data_set_are_no_data_sets(films: Path) -> None:
    assert {film.source for film in datasets.load(films).films} == {None}


def test_woman_on_two_sides_of_two_data_sets_is_refused(tmp_path: Path) -> None:
    one = write_index(tmp_path / "one.csv", list(both(split="train")))
    other = write_index(tmp_path / "other.csv", [row("c.png", split="test")])
    with pytest.raises(
        DataError,
        match=(
            r"one\.csv \+ .*other\.csv: patient p1 stands on both "
            r"sides of the split \(train and test\)"
        ),
    ):
        datasets.load((one, other))


def test_folder_of_no_known_layout_is_refused_with_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(
        DataError,
        match=r"no data set known here; found pictures; expected one of: CBIS-DDSM .*Mini-MIAS",
    ):
        datasets.load(tmp_path)


def test_folder_that_could_be_two_data_sets_is_refused(films: Path) -> None:
    (films / "Info.txt").touch()
    with pytest.raises(
        DataError,
        match=r"could be either of these, expected only one: a folder with Benign/ .*; Mini-MIAS",
    ):
        datasets.load(films)


def test_folder_takes_patients_from_documented_names(films: Path) -> None:
    found = datasets.load(films)
    assert len(found.films) == 20
    assert len(found.patients) == 10
    assert {film.label for film in found.films if film.name.startswith("Malignant/")} == {
        "malignant"
    }


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("Mass-Training_P_00001_LEFT_CC.png", "P_00001"),
        ("20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm", "6c613a14b80a8591"),
        ("mdb001.pgm", "mias-1"),
        ("mdb002.pgm", "mias-1"),
        ("mdb003.pgm", "mias-2"),
        ("scan.png", None),
    ],
)
def test_names_tell_the_patient(name: str, patient: str | None) -> None:
    assert folder.patient_of(name) == patient


def test_file_of_unknown_name_is_its_own_patient_and_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("benign/one.png", "benign/two.png", "MALIGNANT/three.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert len(datasets.load(tmp_path).patients) == 3
    assert "WARNING: 3 of 3 images" in capsys.readouterr().err


def test_folder_without_a_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Benign").mkdir()
    with pytest.raises(
        DataError, match=r"no folder Malignant/; found Benign; expected Benign/ and Malignant/"
    ):
        datasets.load(tmp_path)


def test_cbis_ddsm_reads_whole(shared: Path) -> None:
    found = datasets.load(shared / "data" / "cbis-ddsm" / "mass-800.csv")
    assert (len(found.films), len(found.patients), sum(film.malignant for film in found.films)) == (
        1206,
        678,
        592,
    )
    assert all(film.aspect is not None and 1 < film.aspect < 3 for film in found.films)
    assert sum(len(film.lesions) for film in found.films) == 1291


def test_cbis_ddsm_of_two_sets_has_its_woman_of_two_ids_on_one_side(shared: Path) -> None:
    """Nobody else moved: with two ids she stood in training and in test (seed 1)."""
    folder = shared / "data" / "cbis-ddsm"
    found = datasets.load((folder / "mass-800.csv", folder / "full-299.csv"))
    sides = split.assign(found, Fractions(validation=0.16, test=0.20), 1)
    assert {side: len({film.patient for film in films}) for side, films in sides.items()} == {
        "train": 740,
        "validation": 186,
        "test": 231,
    }
    assert len([film for film in sides["test"] if film.patient == "P_01136"]) == 6


@pytest.mark.parametrize(
    ("column", "value"), [("rows", "nan"), ("rows", "inf"), ("density", "inf"), ("birads", "nan")]
)
def test_number_that_is_none_is_refused_with_its_line(
    tmp_path: Path, column: str, value: str
) -> None:
    rows = [
        one | {"rows": "2", "columns": "1", "density": "1", "birads": "2"} | {column: value}
        for one in both()
    ]
    with pytest.raises(DataError, match=rf"index\.csv:2: {column} is {value}, expected"):
        index(tmp_path, *rows)


def test_lesions_have_a_fingerprint_of_their_own(tmp_path: Path) -> None:
    found = index(tmp_path, *both())
    lesion = Lesion(label="benign", abnormality=None, box=Box(0, 0, 5, 5))
    other = replace(found, films=(replace(found.films[0], lesions=(lesion,)), *found.films[1:]))
    assert other.fingerprint == found.fingerprint
    assert other.lesions_fingerprint != found.lesions_fingerprint
