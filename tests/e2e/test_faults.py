"""
Brokers come and go, the daemon is stopped and killed, files are broken: nothing is lost and nothing
has two ids.
"""

import os
import signal
from pathlib import Path
from typing import Final

import pydicom
import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.storage.ledger import open_ledger
from tests.support.rig import FILMS, PATIENCE_S, Rig, film, sha256, until

COUNT: Final = 16
"""Films to be midway in: a worker takes some twenty a second."""


def drop_many(rig: Rig) -> set[str]:
    return {rig.drop(f"{number}.png", film(number)) for number in range(COUNT)}


def test_a_broker_that_is_absent_at_start_is_waited_for(rig: Rig, mosquitto: Mosquitto) -> None:
    mosquitto.stop()  # it keeps what the subscriber subscribed
    with rig:
        image_ids = {rig.drop(f"{number}.png", film(number)) for number in range(3)}
        until(
            lambda: rig.status()["queue"]["archived"] == 3, "three files examined without a broker"
        )
        until(
            lambda: any(reason.startswith("broker:") for reason in rig.status()["reasons"]),
            "its absence is told",
            rig.words,
        )
        assert rig.status()["state"] == "degraded"
        mosquitto.start()
        rig.assert_nothing_lost(image_ids)
        until(lambda: rig.status()["state"] == "ready", "ready")
        assert rig.stop() == 0


def test_a_broker_that_is_restarted_midway_loses_nothing(daemon: Rig, mosquitto: Mosquitto) -> None:
    image_ids = drop_many(daemon)
    daemon.results(3)
    mosquitto.restart()
    daemon.assert_nothing_lost(image_ids)


def test_a_broker_that_is_killed_midway_loses_nothing(daemon: Rig, mosquitto: Mosquitto) -> None:
    image_ids = drop_many(daemon)
    daemon.results(3)
    mosquitto.kill()
    mosquitto.start()
    daemon.assert_nothing_lost(image_ids)


def test_sigterm_midway_drains_and_the_next_start_goes_on(daemon: Rig) -> None:
    image_ids = drop_many(daemon)
    daemon.results(3)
    assert daemon.stop() == 0
    daemon.ready().assert_nothing_lost(image_ids)
    assert "worker_died" not in daemon.words()


@pytest.mark.parametrize("after", [1, 5])
def test_sigkill_midway_and_the_next_start_goes_on(daemon: Rig, after: int) -> None:
    image_ids = drop_many(daemon)
    daemon.results(after)
    daemon.kill()
    daemon.ready().assert_nothing_lost(image_ids)


def test_a_worker_that_is_killed_midway_costs_nothing(daemon: Rig) -> None:
    image_ids = drop_many(daemon)
    daemon.results(3)
    for pid in daemon.children():
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    daemon.assert_nothing_lost(image_ids)


def test_a_stop_that_reaches_the_workers_too_is_no_attempt(daemon: Rig) -> None:
    image_ids = drop_many(daemon)
    daemon.results(1)
    for _ in range(3):
        assert daemon.process is not None
        os.killpg(daemon.process.pid, signal.SIGTERM)
        assert daemon.process.wait(PATIENCE_S) == 0
        daemon.ready()
    daemon.assert_nothing_lost(image_ids)


def ct() -> bytes:
    return (Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm").read_bytes()


BAD: Final = {
    "truncated.jpg": (
        FILMS[0].read_bytes()[:5000],
        "truncated: the JPEG has no end mark, so the file is incomplete",
    ),
    "truncated.png": (
        film(1)[:-2000],
        "truncated: the PNG ends inside a chunk, so the file is incomplete",
    ),
    "empty.dcm": (b"", "empty file: the file has 0 bytes"),
    "text.dcm": (
        b"Dear radiologist, the film follows by post.\n",
        "unsupported format: expected DICOM, PNG,",
    ),
    "ct.dcm": (ct(), "not a mammogram: Modality is CT, expected MG"),
}
"""Files that no quiet run scores, each with the beginning of its reason."""


def test_bad_input_is_rejected_with_a_reason_and_set_aside_with_its_result(rig: Rig) -> None:
    """A short quiet time, since files that are not whole are looked at again after ten of them."""
    rig.config.write_text(rig.config.read_text().replace("[inbox]\n", "[inbox]\nquiet_s = 0.2\n"))
    daemon = rig.ready()
    daemon.await_introduction()
    for name, (data, _) in BAD.items():
        daemon.drop(name, data)
    daemon.result_of(daemon.drop("good.png", film(7)))
    for data, reason in BAD.values():
        result = daemon.result_of(sha256(data))
        assert result["outcome"] == "rejected"
        assert result["score"] is None
        assert result["gate"]["reasons"][0].startswith(reason)
    until(daemon.settled, "settled")
    aside = [path for path in daemon.failed.iterdir() if path.suffix != ".json"]
    assert sorted(
        (path.name.partition(".")[0], sha256(path.read_bytes())) for path in aside
    ) == sorted((name.partition(".")[0], sha256(data)) for name, (data, _) in BAD.items())
    assert all(path.with_name(path.name + ".json").exists() for path in aside)


def test_a_16_bit_png_is_scored_like_its_8_bit_twin(daemon: Rig) -> None:
    eight = daemon.result_of(daemon.drop("eight.png", film(1)))
    sixteen = daemon.result_of(daemon.drop("sixteen.png", film(1, depth=16)))
    assert sixteen["image"]["bits"] == 16
    # 8-bit pixels are rounded once more when they are resized: the model sees up to half a grey
    # level of 256 less.
    assert sixteen["score"]["raw"] == pytest.approx(eight["score"]["raw"], abs=0.02)


def test_a_disk_that_gives_no_room_stops_intake_and_not_the_daemon(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    rig = Rig(tmp_path / "edge", mosquitto.port, subscriber)
    rig.config.write_text(
        rig.config.read_text().replace("[spool]\n", "[spool]\nmin_free_mb = 1000000000\n")
    )
    with rig:
        rig.drop("film.png", film(1))
        until(
            lambda: any("MiB free, intake needs" in reason for reason in rig.status()["reasons"]),
            "low space told",
        )
        assert (rig.inbox / "film.png").exists()
        rig.stop()
    rig.config.write_text(rig.config.read_text().replace("min_free_mb = 1000000000\n", ""))
    rig.ready().assert_nothing_lost({sha256(film(1))})
    rig.stop()


def test_an_inbox_that_goes_away_and_comes_back_is_watched_again(daemon: Rig) -> None:
    away = daemon.folder / "away"
    daemon.inbox.rename(away)
    until(
        lambda: any(reason.startswith("inbox:") for reason in daemon.status()["reasons"]),
        "inbox away told",
    )
    away.rename(daemon.inbox)
    image_id = daemon.drop("film.png", film(1))
    daemon.result_of(image_id)
    until(lambda: daemon.status()["state"] == "ready", "ready again")


def test_images_that_wait_in_an_archive_that_is_not_mounted_are_examined_once_it_is(
    rig: Rig,
) -> None:
    """A folder that is renamed stands for one that is not mounted; the start makes another."""
    rig.ready().await_introduction()
    waiting = {rig.drop(f"{number}.png", b"no picture %d" % number) for number in range(2)}
    rig.results(2)
    until(rig.settled, "archived", rig.words)
    assert rig.stop() == 0
    with open_ledger(rig.folder / "state", ["mqtt"], lambda payload, _: payload) as ledger:
        ledger.submissions.retry(waiting)
    away = rig.failed.rename(rig.folder / "away")
    rig.ready()
    new = rig.drop("film.png", film(1))
    assert rig.result_of(new)["score"] is not None
    (why,) = rig.status()["reasons"]
    assert "failed is not the folder that it was: mount it" in why
    assert rig.status()["queue"]["waiting"] == 2
    rig.kill()
    assert list(rig.failed.iterdir()) == []
    rig.failed.rmdir()
    away.rename(rig.failed)
    rig.ready()
    again = [message for message in rig.results(5) if message["supersedes"]]
    assert {message["image_id"] for message in again} == waiting
    assert not any("missing" in str(message["gate"]) for message in again)
    until(lambda: rig.status()["state"] == "ready", "ready", rig.words)
