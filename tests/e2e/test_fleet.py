"""`mammo-edge fleet`: all devices at a broker, from a machine that has nothing but its address."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.brokers import Mosquitto
from edge.cli.main import main
from tests.support import fleet
from tests.support.fleet import keep
from tests.support.rig import Rig, film, until


@pytest.fixture
def admin(tmp_path: Path, mosquitto: Mosquitto) -> Path:
    """The configuration of a machine that is no device."""
    file = tmp_path / "admin.toml"
    file.write_text(f'[broker]\nhost = "127.0.0.1"\nport = {mosquitto.port}\n')
    return file


def run(admin: Path, command: str, *options: str) -> int:
    return main(["fleet", command, "--config", str(admin), *options])


def printed(
    admin: Path, capsys: pytest.CaptureFixture[str], true: Callable[[str], object], *command: str
) -> str:
    """Run a command until what it prints is whole: a busy broker may be silent for a while."""
    texts = [""]

    def again() -> object:
        run(admin, *command)
        texts.append(capsys.readouterr().out)
        return true(texts[-1])

    until(again, "all are heard", lambda: texts[-1])
    return texts[-1]


def test_a_running_daemon_is_in_the_list_with_what_it_says(
    rig: Rig, admin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.configure("\n[publish]\nhealth_s = 0.2\n")
    rig.ready().await_introduction()
    rig.result_of(rig.drop("film.png", film(1)))
    assert rig.subscriber is not None
    subscriber = rig.subscriber
    subscriber.wait_for(lambda _: subscriber.last("health").get("drift", {}).get("images"))
    subscriber.wait_for(lambda _: subscriber.last("status").get("state") == "ready")
    whole = printed(admin, capsys, lambda text: '"info": {' in text, "list", "--json")
    (device,) = json.loads(whole)["devices"]
    assert (device["device"], device["malformed"]) == ("demo/edge-1", {})
    subscriber.wait_for(lambda _: device["info"] == subscriber.last("info"))
    assert device["status"]["state"] == "ready"
    whole = printed(admin, capsys, lambda text: '"counts"' in text, "drift", "--json")
    (bundle,) = json.loads(whole)["bundles"]
    assert (bundle["images"], sum(bundle["counts"]), bundle["index"]) == (1, 1, None)
    assert bundle["bundle"] == device["info"]["model"]["bundle"]


def test_the_table_has_those_that_are_there_and_those_that_are_gone(
    mosquitto: Mosquitto, admin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(mosquitto, "north/edge-1/status", fleet.status())
    keep(mosquitto, "north/edge-1/info", fleet.info("north/edge-1"))
    offline = {"schema": "mammo.status/1", "status": "offline", "version": "0.2.0"}
    keep(mosquitto, "north/gone/status", offline)
    audit = fleet.info("north/gone")["audit"] | {"number": 25, "first": 20}
    gone_info = fleet.info("north/gone", at="2026-11-20T12:00:00Z", audit=audit)
    keep(mosquitto, "north/gone/info", gone_info)
    text = printed(admin, capsys, lambda text: text.count(":6051d3b4") == 2, "list")
    head, here, gone = (" ".join(line.split()) for line in text.splitlines())
    assert head == "device state version model config audit last seen clock"
    assert here == "north/edge-1 ready 0.2.0 2.3.0 d66db5e2 9c6ebd4f 1:6051d3b4 now ?"
    assert gone.startswith("north/gone offline 0.2.0 2.3.0 d66db5e2 9c6ebd4f 20-25:6051d3b4 11-20 ")


def test_the_table_has_a_hundred_columns_and_no_text_of_a_stranger_acts_on_the_terminal(
    mosquitto: Mosquitto, admin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = f"{'n' * 64}/{'e' * 64}"
    wide = {"name": "m", "version": "x\x1b[2J" * 20, "bundle": "a" * 64}
    audit = {"number": 10**15, "hash": "c" * 64}
    messages: dict[str, Any] = {
        f"{long}/status": fleet.status(state="\x1b[31m" * 9, version="1" * 99),
        f"{long}/info": fleet.info(long, model=wide, audit=audit),
        "north/bad/info": b"\x1b[2J{",
        "nobody/\u202eedge/status": fleet.status(),
    }
    for topic, message in messages.items():
        keep(mosquitto, topic, message)

    def whole(text: str) -> bool:
        return text.count("malformed:") == 2 and "9c6ebd4f" in text and "x1b[31m" in text

    text = printed(admin, capsys, whole, "list")
    assert max(map(len, text.splitlines())) <= 100
    assert all(line.isprintable() for line in text.splitlines())
    assert "malformed: north/bad: info: the whole of it: Invalid JSON" in text
    assert "malformed: nobody/\\u202eedge: status: its topic names no device" in text


def test_drift_waits_for_the_health_of_those_that_are_online(
    mosquitto: Mosquitto, admin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(mosquitto, "north/a/status", fleet.status())
    keep(mosquitto, "north/gone/status", {**fleet.status(), "status": "offline"})
    over = threading.Event()

    def publish() -> None:
        while not over.is_set():
            keep(mosquitto, "north/a/health", fleet.health("north/a", [20] * 20), retain=False)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        text = printed(admin, capsys, lambda text: "north/a" in text and "gone" in text, "drift")
    finally:
        over.set()
        thread.join()
    lines = text.splitlines()
    assert lines[1].split() == ["m", "1", "aaaaaaaa", "400", "0.000", "alike"]
    assert lines[2].split() == ["-", "north/a", "400", "0.000", "alike"]
    assert lines[3] == "no counts came from: north/gone"


def test_where_nothing_is_said_or_may_be_read_the_command_fails_and_says_so(
    admin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(admin, "list", "--wait", "1") == 1
    assert "no device says anything below mammo/v1" in capsys.readouterr().err
