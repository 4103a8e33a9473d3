"""
A file dropped into the inbox becomes one result on MQTT and lies in one place, however it was
dropped.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.folders import windows_disk
from tests.support.rig import FILMS, Rig, film, sha256, until


def test_files_already_there_at_start_are_taken(rig: Rig) -> None:
    films = [film(number) for number in range(5)]
    for number, data in enumerate(films):
        (rig.inbox / f"{number}.png").write_bytes(data)
    rig.ready().assert_nothing_lost({sha256(data) for data in films})


def test_inbox_and_spool_on_two_file_systems(rig: Rig) -> None:
    other = Path("/dev/shm")  # noqa: S108 - the one tmpfs that every Linux has
    if not other.is_dir() or other.stat().st_dev == rig.folder.stat().st_dev:
        pytest.skip("needs a second file system: mount a tmpfs on /dev/shm")
    spool = other / f"mammo-edge-test-{os.getpid()}"
    rig.place("spool", spool)
    rig.config.write_text(rig.config.read_text().replace("[inbox]\n", "[inbox]\nquiet_s = 0.1\n"))
    try:
        (rig.inbox / "early.png").write_bytes(film(1))
        os.utime(rig.inbox / "early.png", (1, 1))
        rig.ready()
        rig.drop("late.png", film(2))
        until(lambda: not any(rig.inbox.iterdir()), "taken out of the inbox", rig.words)
        rig.assert_nothing_lost({sha256(film(1)), sha256(film(2))})
        assert list((spool / "claimed").iterdir()) == []
    finally:
        rig.stop()
        shutil.rmtree(spool, ignore_errors=True)


def test_inbox_and_spool_as_two_bind_mounts_of_one_file_system(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    unshare = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    )
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip(
            "needs a mount namespace: run as root, or sudo sysctl "
            "kernel.unprivileged_userns_clone=1"
        )
    folder = tmp_path / "edge"
    mounts = " && ".join(
        f"mount --bind {folder}/{name} {folder}/{name}" for name in ("inbox", "spool")
    )
    rig = Rig(
        folder,
        mosquitto.port,
        subscriber,
        before=[*unshare, "sh", "-c", f'{mounts} && exec "$@"', "sh"],
    )
    (folder / "spool").mkdir()
    try:
        rig.ready()
        rig.drop("film.png", film(1))
        rig.assert_nothing_lost({sha256(film(1))})
    finally:
        rig.stop()


def test_a_file_whose_name_the_archive_does_not_take_is_archived_and_found_again(
    rig: Rig,
) -> None:
    """On an NTFS as Windows has it; a lost ledger is rebuilt from there."""
    with windows_disk(rig.folder) as disk:
        rig.done = disk / "done"
        rig.place("done", rig.done)
        try:
            rig.ready()
            rig.drop('3:4 "left".png', film(1))
            rig.drop("4.png", film(2))
            films = {sha256(film(1)), sha256(film(2))}
            rig.assert_nothing_lost(films)
            plain, own = (
                f"{name}.{sha256(film(n))[:16]}.png" for n, name in ((1, "image"), (2, "4"))
            )
            assert {path.name for path in rig.done.glob("*.png")} == {plain, own}
            rig.stop()
            for part in (rig.folder / "state").glob("ledger*"):
                part.unlink()
            rig.ready()
            assert len(rig.results(4)) == 4
            rig.assert_nothing_lost(films)
        finally:
            rig.stop()


def test_a_file_whose_writer_pauses_is_taken_whole_when_it_goes_on(rig: Rig) -> None:
    """
    Nobody has seen its writer close it: a truncated image is looked at again before it is rejected.
    """
    rig.config.write_text(rig.config.read_text().replace("[inbox]\n", "[inbox]\nquiet_s = 1\n"))
    data = FILMS[0].read_bytes()
    with (rig.inbox / "film.jpg").open("wb") as writer:
        writer.write(data[: len(data) // 2])
        writer.flush()
        rig.ready()
        until(lambda: "looked_at_again" in rig.words(), "a first look", rig.words)
        writer.write(data[len(data) // 2 :])
    rig.assert_nothing_lost({sha256(data)})
