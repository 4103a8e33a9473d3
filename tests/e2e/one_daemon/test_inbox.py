"""Files dropped in every way into the inbox of a daemon that other tests used before."""

import os
from pathlib import Path

from tests.support.rig import FILMS, Films, Rig, copy_slowly, sha256, until


def test_a_file_renamed_into_the_inbox_becomes_a_result(daemon: Rig, films: Films) -> None:
    image_id = daemon.drop("film.png", films(1))
    result = daemon.result_of(image_id)
    assert result["outcome"] in {"benign", "malignant", "indeterminate"}
    assert (result["site"], result["device"], result["source"]["kind"]) == (
        "demo",
        "edge-1",
        "folder",
    )
    daemon.assert_nothing_lost({image_id})


def test_a_file_copied_slowly_is_taken_whole(daemon: Rig) -> None:
    data = FILMS[0].read_bytes()
    copy_slowly(data, daemon.inbox / "film.jpg", pieces=50)
    daemon.assert_nothing_lost({sha256(data)})


def test_a_part_file_is_left_alone_until_it_is_renamed(daemon: Rig, films: Films) -> None:
    first, second = films(1), films(2)
    (daemon.inbox / "first.png.part").write_bytes(first)
    (daemon.inbox / ".hidden.png").write_bytes(first)
    daemon.drop("second.png", second)
    daemon.result_of(sha256(second))
    assert (daemon.inbox / "first.png.part").exists()
    (daemon.inbox / ".hidden.png").unlink()
    (daemon.inbox / "first.png.part").rename(daemon.inbox / "first.png")
    daemon.assert_nothing_lost({sha256(first), sha256(second)})


def test_many_files_at_once_are_all_answered(daemon: Rig, films: Films) -> None:
    daemon.assert_nothing_lost(
        {daemon.drop(f"{number}.png", films(number)) for number in range(30)}
    )


def test_a_folder_of_files_moved_into_the_inbox_is_taken(daemon: Rig, films: Films) -> None:
    exam = daemon.folder / "exam"
    exam.mkdir()
    (exam / "film.png").write_bytes(films(1))
    exam.rename(daemon.inbox / "exam")
    daemon.assert_nothing_lost({sha256(films(1))})


def test_a_name_that_is_no_utf_8_and_one_of_255_bytes_are_taken(daemon: Rig, films: Films) -> None:
    for number, name in enumerate([b"m\xfcller\n.png", b"n" * 251 + b".png"]):
        part = os.path.join(os.fsencode(daemon.inbox), b"x.part")  # noqa: PTH118 - bytes
        Path(os.fsdecode(part)).write_bytes(films(number))
        # bytes
        os.rename(part, os.path.join(os.fsencode(daemon.inbox), name))  # noqa: PTH104, PTH118
    daemon.assert_nothing_lost({sha256(films(0)), sha256(films(1))})


def test_a_symlink_is_not_followed(daemon: Rig, films: Films) -> None:
    secret = daemon.folder / "secret.png"
    secret.write_bytes(films(1))
    (daemon.inbox / "link.png").symlink_to(secret)
    image_id = daemon.drop("film.png", films(2))
    daemon.result_of(image_id)
    assert secret.exists()
    assert (daemon.inbox / "link.png").is_symlink()
    assert [message["image_id"] for message in daemon.results(1)] == [image_id]


def test_a_file_that_comes_again_after_done_was_cleaned_up_lies_there_again(
    daemon: Rig, films: Films
) -> None:
    image_id = daemon.drop("film.png", films(1))
    daemon.result_of(image_id)
    until(daemon.settled, "settled")
    for path in daemon.done.iterdir():
        path.unlink()
    daemon.drop("film.png", films(1))
    first, second = daemon.results(2)
    assert (second["result_id"], second["duplicate_of"]) == (first["result_id"], first["seq"])
    daemon.assert_nothing_lost({image_id})
