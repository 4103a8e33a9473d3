"""
CBIS-DDSM in the layout of the archive, with films of one shade of grey and lesions that are
rectangles.
"""

import csv
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge.domain import Box
from tests.support.films import dicom
from train.data import datasets, split
from train.data.datasets import Film, Lesion, _roi
from train.data.split import Fractions
from train.errors import DataError

SIZE = (60, 40)
COMMON = "left or right breast,image view,abnormality id,abnormality type"
HEADERS = {
    "mass": f"patient_id,breast_density,{COMMON},mass shape,mass margins",
    "calc": f"patient_id,breast density,{COMMON},calc type,calc distribution",
}
TAIL = "assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path"
UID = "1.3.6.1.4.1.9590.100.1.2"


@dataclass(frozen=True)
class Row:
    """One abnormality; the box is (xmin, ymin, xmax, ymax) of its mask."""

    group: str
    patient: int
    laterality: str
    view: str
    number: int
    pathology: str
    box: tuple[int, int, int, int] = (5, 10, 15, 30)

    @property
    def film(self) -> str:
        kind, side = self.group.split("_")
        official = "Training" if side == "train" else "Test"
        breast = f"P_{self.patient:05}_{self.laterality}_{self.view}"
        return f"{kind.title()}-{official}_{breast}"

    @property
    def roi(self) -> str:
        return f"{self.film}_{self.number}"


ROWS = (
    Row("mass_train", 1, "LEFT", "CC", 1, "MALIGNANT"),
    Row("mass_train", 1, "LEFT", "MLO", 1, "BENIGN"),
    Row("mass_train", 1, "LEFT", "MLO", 2, "BENIGN_WITHOUT_CALLBACK", (20, 5, 25, 8)),
    Row("mass_train", 2, "RIGHT", "CC", 1, "BENIGN"),
    Row("mass_train", 3, "RIGHT", "CC", 1, "MALIGNANT"),
    Row("mass_test", 4, "LEFT", "CC", 1, "MALIGNANT"),
    Row("calc_train", 1, "LEFT", "CC", 1, "BENIGN", (1, 2, 3, 4)),
    Row("calc_train", 5, "LEFT", "CC", 1, "MALIGNANT"),
    Row("calc_test", 3, "LEFT", "CC", 1, "BENIGN"),
)
"""
Patient 1 has masses and calcifications on one film; patient 3 stands in the official training and
test sets.
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mammo-edge"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    root.mkdir()
    write_tables(root, ROWS)
    for number, row in enumerate(ROWS):
        images = root / "manifest-1617905855234" / "CBIS-DDSM"
        write(
            images / row.film / f"{UID}.1" / f"{UID}.2" / "1-1.dcm",
            np.full(SIZE, number, np.uint16),
        )
        names = ("1-1.dcm", "1-2.dcm") if number % 2 else ("1-2.dcm", "1-1.dcm")
        write(images / row.roi / f"{UID}.3" / f"{UID}.4" / names[0], mask(row))
        write(images / row.roi / f"{UID}.3" / f"{UID}.4" / names[1], cropped(row))
    return root


def write_tables(root: Path, rows: tuple[Row, ...]) -> None:
    """
    The four CSVs with the archive's header, its paths to nowhere and its line breaks inside of
    them.
    """
    tables = defaultdict[str, list[Row]](list)
    for row in rows:
        tables[row.group].append(row)
    for group in ("mass_train", "mass_test", "calc_train", "calc_test"):
        kind, side = group.split("_")
        with (root / f"{kind}_case_description_{side}_set.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(f"{HEADERS[kind]},{TAIL}".split(","))
            writer.writerows(cells(row) for row in tables[group])


def cells(row: Row) -> list[str]:
    kind = {"mass": "mass", "calc": "calcification"}[row.group[:4]]
    film = f"{row.film}/{UID}.1/{UID}.2/000000.dcm"
    roi = [f"{row.roi}/{UID}.3/{UID}.4/00000{number}.dcm\n" for number in (1, 0)]
    patient = f"P_{row.patient:05}"
    return [
        patient,
        "3",
        row.laterality,
        row.view,
        str(row.number),
        kind,
        "SHAPE",
        "N/A",
        "4",
        row.pathology,
        "2",
        film,
        *roi,
    ]


def mask(row: Row, size: tuple[int, int] = SIZE) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    pixels = np.zeros(size, np.uint8)
    xmin, ymin, xmax, ymax = row.box
    pixels[ymin:ymax, xmin:xmax] = 255
    return pixels


def cropped(row: Row) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """What is inside the box, and as dark and bright as any film."""
    xmin, ymin, xmax, ymax = row.box
    return np.arange((ymax - ymin) * (xmax - xmin), dtype=np.uint16).reshape(
        ymax - ymin, xmax - xmin
    )


def write(path: Path, pixels: np.ndarray[tuple[int, int], np.dtype[np.unsignedinteger]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dicom(pixels))


def loaded(root: Path) -> dict[tuple[str, str | None, str | None], Film]:
    return {(film.patient, film.laterality, film.view): film for film in datasets.load(root).films}


def one(root: Path, pattern: str) -> Path:
    (path,) = root.rglob(pattern)
    return path


def test_each_film_is_there_once_with_the_side_the_archive_gives(archive: Path) -> None:
    films = loaded(archive)
    assert {key: film.split for key, film in films.items()} == {
        ("P_00001", "LEFT", "CC"): "train",
        ("P_00001", "LEFT", "MLO"): "train",
        ("P_00002", "RIGHT", "CC"): "train",
        ("P_00003", "LEFT", "CC"): "test",
        ("P_00004", "LEFT", "CC"): "test",
        ("P_00005", "LEFT", "CC"): "train",
    }
    assert all(film.path.is_file() for film in films.values())


def test_woman_of_two_ids_is_one_patient(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twins = (
        Row("calc_train", 1136, "RIGHT", "CC", 1, "MALIGNANT"),
        Row("mass_train", 1138, "RIGHT", "CC", 1, "MALIGNANT"),
    )
    write_tables(archive, (*ROWS, *twins))
    for number, row in enumerate(twins):
        folder = archive / "CBIS-DDSM" / row.film / f"{UID}.1" / f"{UID}.2"
        write(folder / "1-1.dcm", np.full(SIZE, 100 + number, np.uint16))
        roi = archive / "CBIS-DDSM" / row.roi / f"{UID}.3" / f"{UID}.4"
        write(roi / "1-1.dcm", mask(row))
    found = datasets.load(archive)
    assert [film.path.parts[-4] for film in found.films if film.patient == "P_01136"] == [
        twin.film for twin in twins
    ]
    assert "P_01138" not in found.patients
    assert "P_01136 and P_01138 are one woman" in capsys.readouterr().err


def test_patient_of_both_official_sets_is_dropped_from_training(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = loaded(archive)
    assert ("P_00003", "RIGHT", "CC") not in films
    assert (
        "1 patients stand in the official training and test sets: they are dropped from training"
        in capsys.readouterr().err
    )


def test_official_test_patients_are_never_trained_on(archive: Path) -> None:
    more = tuple(
        Row("mass_train", 100 + n, "LEFT", "CC", 1, ("BENIGN", "MALIGNANT")[n % 2])
        for n in range(12)
    )
    write_tables(archive, ROWS + more)
    for number, row in enumerate(more):
        write(
            archive / "CBIS-DDSM" / row.film / "a" / "b" / "1-1.dcm",
            np.full(SIZE, 100 + number, np.uint16),
        )
        write(archive / "CBIS-DDSM" / row.roi / "a" / "b" / "1-1.dcm", mask(row))
    sides = split.assign(datasets.load(archive), Fractions(validation=0.2, test=0.2), seed=1)
    assert {film.patient for film in sides["test"]} == {"P_00003", "P_00004"}


def test_film_is_malignant_where_any_of_its_abnormalities_is(archive: Path) -> None:
    film = loaded(archive)["P_00001", "LEFT", "CC"]
    assert (film.label, film.abnormality, film.birads, film.subtlety, film.density) == (
        "malignant",
        "calc|mass",
        (4, 4),
        (2, 2),
        3,
    )
    assert "Mass-Training" in film.name


def test_benign_without_callback_is_benign(archive: Path) -> None:
    assert loaded(archive)["P_00001", "LEFT", "MLO"].label == "benign"


def test_lesion_boxes_come_from_the_masks_whichever_file_they_are(archive: Path) -> None:
    films = loaded(archive)
    assert films["P_00001", "LEFT", "CC"].lesions == (
        Lesion(
            label="malignant",
            abnormality="mass",
            box=Box(5, 10, 15, 30),
            descriptors=("shape SHAPE", "birads 4"),
        ),
        Lesion(
            label="benign",
            abnormality="calcification",
            box=Box(1, 2, 3, 4),
            descriptors=("calc_type SHAPE", "birads 4"),
        ),
    )
    assert [lesion.box for lesion in films["P_00001", "LEFT", "MLO"].lesions] == [
        Box(5, 10, 15, 30),
        Box(20, 5, 25, 8),
    ]


def test_box_of_a_mask_of_another_size_is_scaled_to_its_film(archive: Path) -> None:
    for path in (archive / "manifest-1617905855234" / "CBIS-DDSM" / ROWS[3].roi).rglob("*.dcm"):
        path.unlink()
    write(
        archive / "manifest-1617905855234" / "CBIS-DDSM" / ROWS[3].roi / "a" / "1-1.dcm",
        mask(ROWS[3], (120, 80)),
    )
    assert loaded(archive)["P_00002", "RIGHT", "CC"].lesions[0].box == Box(2.5, 5, 7.5, 15)


def test_empty_mask_and_picture_that_is_no_mask_give_no_box_and_a_warning(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = archive / "manifest-1617905855234" / "CBIS-DDSM"
    for row, pixels in ((ROWS[3], np.zeros(SIZE, np.uint8)), (ROWS[0], cropped(ROWS[0]))):
        shutil.rmtree(images / row.roi)
        write(images / row.roi / "a" / "1-1.dcm", pixels)
    films = loaded(archive)
    assert films["P_00002", "RIGHT", "CC"].lesions == ()
    assert [lesion.abnormality for lesion in films["P_00001", "LEFT", "CC"].lesions] == [
        "calcification"
    ]
    assert (
        "2 of 8 ROI masks show no lesion, as that in Mass-Training_P_00001_LEFT_CC_1"
        in capsys.readouterr().err
    )


def test_masks_are_read_once(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = loaded(archive)
    monkeypatch.setattr(_roi, "corners", None)
    assert loaded(archive) == first


def test_mask_that_changed_is_read_again(archive: Path) -> None:
    loaded(archive)
    images = archive / "manifest-1617905855234" / "CBIS-DDSM" / ROWS[3].roi
    shutil.rmtree(images)
    write(
        images / "a" / "b" / "1-1.dcm",
        mask(Row("mass_train", 2, "RIGHT", "CC", 1, "BENIGN", (2, 3, 4, 5))),
    )
    assert loaded(archive)["P_00002", "RIGHT", "CC"].lesions[0].box == Box(2, 3, 4, 5)


def test_many_masks_are_read_in_parallel(
    archive: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = loaded(archive)
    shutil.rmtree(cache)
    monkeypatch.setattr(_roi, "FEW", 0)
    assert loaded(archive) == few


def test_older_layout_with_descriptions_and_the_folder_itself_are_found_too(archive: Path) -> None:
    images = archive / "manifest-1617905855234" / "CBIS-DDSM"
    for folder in images.iterdir():
        (folder / f"{UID}.1" if (folder / f"{UID}.1").exists() else folder / f"{UID}.3").rename(
            folder / "07-20-2016-DDSM-74994"
        )
    expected = {key: film.lesions for key, film in loaded(archive).items()}
    for table in archive.glob("*.csv"):
        table.rename(images.parent / table.name)
    assert {key: film.lesions for key, film in loaded(images).items()} == expected


def test_group_that_was_not_downloaded_is_left_out_and_said(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in archive.rglob("Calc-Training_*"):
        shutil.rmtree(folder)
    films = loaded(archive)
    assert ("P_00005", "LEFT", "CC") not in films
    assert films["P_00001", "LEFT", "CC"].abnormality == "calc|mass"
    assert (
        "none of the 2 films of calc_case_description_train_set.csv is there; going on without them"
        in capsys.readouterr().err
    )


def test_without_the_test_films_no_split_is_given_and_their_patients_stay_out(
    archive: Path,
) -> None:
    for folder in [*archive.rglob("Calc-Test_*"), *archive.rglob("Mass-Test_*")]:
        shutil.rmtree(folder)
    films = datasets.load(archive).films
    assert {film.split for film in films} == {None}
    assert {film.patient for film in films} == {"P_00001", "P_00002", "P_00005"}


def test_without_masks_there_are_no_boxes(archive: Path) -> None:
    for row in ROWS:
        shutil.rmtree(one(archive, row.roi))
    assert all(film.lesions == () for film in loaded(archive).values())


@pytest.mark.parametrize(
    ("name", "what"), [(ROWS[0].film, "1 of 4 films"), (ROWS[0].roi, "1 of 5 ROI masks")]
)
def test_gap_in_a_group_is_refused_and_named(archive: Path, name: str, what: str) -> None:
    shutil.rmtree(one(archive, name))
    with pytest.raises(
        DataError,
        match=(
            rf"{what} of mass_case_description_train_set\.csv are "
            rf"missing, {name} is one; .* let the download"
        ),
    ):
        datasets.load(archive)


def test_case_descriptions_without_any_film_are_refused(archive: Path) -> None:
    shutil.rmtree(archive / "manifest-1617905855234")
    with pytest.raises(
        DataError,
        match=(
            "none of the films is there, expected folders like "
            "CBIS-DDSM/Calc-Test_P_00003_LEFT_CC in it"
        ),
    ):
        datasets.load(archive)


def test_missing_case_description_is_named(archive: Path) -> None:
    (archive / "calc_case_description_test_set.csv").unlink()
    with pytest.raises(
        DataError, match=r"no calc_case_description_test_set\.csv in it, below it or beside it"
    ):
        datasets.load(archive)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "MALIGNANT",
            "UNPROVEN",
            (
                r"mass_case_description_test_set\.csv:4: pathology is "
                r"UNPROVEN, expected MALIGNANT, BENIGN"
            ),
        ),
        (
            "pathology",
            "outcome",
            r"mass_case_description_test_set\.csv:1: no column pathology; found patient id",
        ),
        (
            ",3,LEFT",
            ",inf,LEFT",
            (
                r"mass_case_description_test_set\.csv:4: breast density "
                r"is inf, expected a whole number"
            ),
        ),
        (
            ",3,LEFT",
            ",dense,LEFT",
            (
                r"mass_case_description_test_set\.csv:4: breast density "
                r"is dense, expected a whole number"
            ),
        ),
        ("P_00004,3", ",3", r"mass_case_description_test_set\.csv:4: patient_id is empty"),
    ],
)
def test_table_that_makes_no_sense_is_refused(
    archive: Path, old: str, new: str, message: str
) -> None:
    table = archive / "mass_case_description_test_set.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        datasets.load(archive)


def test_blank_line_says_nothing_and_a_short_one_is_refused(archive: Path) -> None:
    table = archive / "mass_case_description_test_set.csv"
    films = datasets.load(archive).films
    table.write_text(table.read_text() + "\n")
    assert datasets.load(archive).films == films
    table.write_text(table.read_text() + "P_00004,3\n")
    with pytest.raises(
        DataError,
        match=r"mass_case_description_test_set\.csv:\d+: pathology is empty, expected MALIGNANT",
    ):
        datasets.load(archive)
