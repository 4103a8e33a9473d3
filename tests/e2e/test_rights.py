"""Rights that are lost and given back: the daemon goes on by itself, soon, and says so."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.rig import Rig, film, sha256, until

MORTAL = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Root that obeys file modes."""
SOON_S = 45.0
"""Seconds that a busy machine may need; the inbox is listed only each hour here."""


@pytest.fixture
def mortal(tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber) -> Iterator[Rig]:
    """A daemon that file modes bind and that hardly ever lists its inbox of itself."""
    if os.geteuid() != 0:
        pytest.skip("puts files where the daemon may not: run as root")
    rig = Rig(tmp_path / "edge", mosquitto.port, subscriber, before=MORTAL)
    hardly_list(rig)
    rig.ready().await_introduction()
    yield rig
    for folder, _, _ in os.walk(rig.folder):
        Path(folder).chmod(0o755)
    rig.stop()


def hardly_list(rig: Rig) -> None:
    """Have the inbox listed each hour only."""
    text = rig.config.read_text().replace("[inbox]\n", "[inbox]\nrescan_s = 3600\nquiet_s = 0.2\n")
    rig.config.write_text(text)


def causes(rig: Rig) -> set[str]:
    """Return the codes of the reasons for which it is degraded."""
    return set(rig.status()["reason_codes"])


def told(rig: Rig, cause: str, what: str) -> None:
    """Wait until this reason is given."""
    until(lambda: cause in causes(rig), f"{cause} of {what}", rig.words, SOON_S)


def healed(rig: Rig, what: str) -> None:
    """Wait until no reason is left, long before the next listing of the inbox."""
    until(lambda: not causes(rig), f"{what}: healthy again", rig.words, SOON_S)


def test_a_folder_of_the_inbox_whose_rights_return_is_taken_up_soon(mortal: Rig) -> None:
    known = set()
    for turn, (place, mode, cause) in enumerate(
        [
            (".", 0o555, "inbox_locked"),
            (".", 0o000, "inbox_away"),
            (".", 0o644, "inbox_unreadable"),
            ("exam", 0o555, "inbox_locked"),
            ("exam", 0o000, "inbox_unreadable"),
            ("exam", 0o644, "inbox_unreadable"),
        ]
    ):
        folder, name = mortal.inbox / place, f"{turn}.png"
        folder.mkdir(exist_ok=True)
        (mortal.folder / name).write_bytes(film(turn))
        folder.chmod(mode)
        (mortal.folder / name).rename(folder / name)
        told(mortal, cause, place)
        folder.chmod(0o755)
        known.add(sha256(film(turn)))
        healed(mortal, f"{place} {mode:o}")
        mortal.assert_nothing_lost(known)


def test_a_file_or_folder_that_came_shut_is_taken_soon_after_it_is_opened(mortal: Rig) -> None:
    known = set()
    for turn, place in enumerate(["film.png", "shut/film.png", "shut/below/film.png"]):
        path = mortal.inbox / place
        shut = path if turn == 0 else mortal.inbox / "shut"
        made = mortal.folder / f"made{turn}" / path.relative_to(mortal.inbox)
        made.parent.mkdir(parents=True)
        made.write_bytes(film(turn))
        top = mortal.folder / f"made{turn}" / shut.name
        top.chmod(0)
        if shut.is_dir():
            shutil.rmtree(shut)
        top.rename(shut)
        told(mortal, "inbox_unreadable", place)
        shut.chmod(0o755)
        known.add(sha256(film(turn)))
        healed(mortal, place)
        mortal.assert_nothing_lost(known)


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_folder_below_one_that_was_shut_at_the_start_has_events_once_that_is_opened(
    mortal: Rig, mode: int
) -> None:
    mortal.stop()
    exam, known = mortal.inbox / "exam", set()
    below = exam / "left" / "views"
    below.mkdir(parents=True)
    (below / "before.png").write_bytes(film(0))
    exam.chmod(mode)
    mortal.ready().await_introduction()
    told(mortal, "inbox_unreadable", f"{mode:o}")
    exam.chmod(0o755)
    known.add(sha256(film(0)))
    healed(mortal, f"{mode:o}")
    for number, folder in enumerate([below, below.parent, exam], start=1):
        (mortal.folder / "after.png").write_bytes(film(number))
        (mortal.folder / "after.png").rename(folder / "after.png")
        known.add(sha256(film(number)))
        mortal.result_of(sha256(film(number)))
    mortal.assert_nothing_lost(known)


def test_a_film_that_its_sender_shuts_once_it_is_taken_stops_no_other(mortal: Rig) -> None:
    for worker in mortal.children():
        os.kill(worker, signal.SIGSTOP)
    mortal.drop("busy.png", film(0))
    mortal.drop("shut.png", film(1))
    claimed = mortal.folder / "spool" / "claimed"

    def taken() -> list[Path]:
        return [path for path in claimed.glob("*shut.png") if mortal.status()["queue"]["waiting"]]

    until(taken, "taken", mortal.words, SOON_S)
    path = taken()[0]
    path.chmod(0)  # as its sender may by a descriptor that is open still
    for worker in mortal.children():
        os.kill(worker, signal.SIGCONT)
    mortal.result_of(mortal.drop("good.png", film(2)))
    told(mortal, "loop_failed", "a film that no worker can read")
    mortal.stop()
    path.chmod(0o644)
    mortal.ready()
    mortal.assert_nothing_lost({sha256(film(number)) for number in range(3)})


def test_a_mount_that_was_read_only_is_emptied_soon_after_it_can_be_written(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    unshare = ["unshare", "--mount"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace: run as root")
    inbox = tmp_path / "edge" / "inbox"
    mount = [*unshare, "sh", "-c", f'mount --bind {inbox} {inbox} && exec "$@"', "sh"]
    rig = Rig(tmp_path / "edge", mosquitto.port, subscriber, before=mount)
    hardly_list(rig)
    try:
        rig.ready().await_introduction()
        assert rig.process is not None
        inside = ["nsenter", f"--target={rig.process.pid}", "--mount", "mount", "-o"]
        subprocess.run([*inside, "remount,bind,ro", str(inbox)], check=True)
        rig.drop("film.png", film(1))
        told(rig, "inbox_undeletable", "a mount that is read-only")
        subprocess.run([*inside, "remount,bind,rw", str(inbox)], check=True)
        healed(rig, "a mount that can be written")
        rig.assert_nothing_lost({sha256(film(1))})
    finally:
        rig.stop()
