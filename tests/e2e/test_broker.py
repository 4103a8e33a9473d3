"""
Brokers that are old, strict, narrow or deaf: everything arrives in the end, and `status` tells the
truth meanwhile.
"""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.proxy import Proxy
from tests.support.rig import FILMS, TOPICS, Rig, film, sha256, until
from tests.support.tools import need

HELD: Final = {"waiting": 0, "held": 1}
"""The outbox of a daemon with one result that the broker has refused."""


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Mosquitto]:
    """A mosquitto that starts when the test has configured it."""
    need("mosquitto", "mosquitto")
    broker = Mosquitto(tmp_path / "mosquitto")
    broker.folder.mkdir()
    yield broker
    broker.stop()


def add_keys(rig: Rig, section: str, *lines: str) -> None:
    rig.config.write_text(
        rig.config.read_text().replace(f"[{section}]\n", "\n".join([f"[{section}]", *lines, ""]))
    )


def start_denying(broker: Mosquitto, name: str) -> None:
    """Start it with an ACL that denies one of the device's topics."""
    acl = broker.folder / "acl"
    acl.write_text(f"topic readwrite #\ntopic deny {TOPICS}/{name}\n")
    acl.chmod(0o644)
    broker.config = f"acl_file {acl}\n"
    broker.start()


def allow_all(broker: Mosquitto) -> None:
    (broker.folder / "acl").write_text("topic readwrite #\n")
    assert broker.process is not None
    broker.process.send_signal(signal.SIGHUP)  # mosquitto reads its ACL again
    log = broker.folder / "broker.log"
    until(lambda: "Reloading config" in log.read_text(), "the ACL is read again", log.read_text)


def reasons(rig: Rig) -> str:
    return "; ".join(rig.status()["reasons"])


def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1_and_status_warns(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    with (
        Proxy(mosquitto.port, only_311=True) as proxy,
        Rig(tmp_path / "edge", proxy.port, subscriber) as rig,
    ):
        rig.assert_nothing_lost({rig.drop("film.png", film(1))})
        until(lambda: subscriber.last("status").get("protocol") == "3.1.1", "told", rig.words)
        (warning, *_) = subscriber.last("status")["warnings"]
        assert "a publish that the broker denies looks delivered" in warning
        subscriber.publish(f"{TOPICS}/request/image", film(2))
        rig.results(2)
        rig.stop()


def test_a_connection_that_goes_deaf_is_given_up_and_made_anew(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    with Proxy(mosquitto.port) as proxy:
        rig = Rig(tmp_path / "edge", proxy.port, subscriber)
        add_keys(rig, "broker", "ack_s = 0.5")
        with rig:
            until(lambda: rig.status()["broker"]["connected"], "connected")
            proxy.freeze()
            image_id = rig.drop("film.png", film(1))
            until(
                lambda: (
                    "no PUBACK" in rig.words()
                    or "no PUBACK" in reasons(rig)
                    or "connection lost" in rig.words()
                ),
                "told",
                rig.words,
            )
            proxy.thaw()
            rig.assert_nothing_lost({image_id})
            rig.stop()


def test_a_wrong_password_is_said_and_is_no_reason_for_3_1_1(
    tmp_path: Path, strict: Mosquitto
) -> None:
    passwords = strict.folder / "passwords"
    subprocess.run(
        [need("mosquitto_passwd", "mosquitto"), "-b", "-c", str(passwords), "edge", "right"],
        check=True,
    )
    passwords.chmod(0o644)
    strict.config = f"per_listener_settings false\npassword_file {passwords}\n"
    strict.start()
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    rig = Rig(tmp_path / "edge", strict.port)
    add_keys(rig, "broker", 'username = "edge"', f'password_file = "{secret}"')
    with rig:
        until(lambda: "Not authorized" in reasons(rig), "refusal told", rig.words)
        assert rig.status()["broker"]["protocol"] == "5"
        rig.drop("film.png", film(1))
        until(lambda: rig.status()["queue"]["archived"] == 1, "examined meanwhile")
        assert rig.stop() == 0
    secret.write_text("right\n")
    with rig:
        until(
            lambda: rig.status()["outbox"].get("mqtt", {"waiting": 0})["waiting"] == 0,
            "delivered",
            rig.words,
        )
        assert rig.stop() == 0


def test_a_topic_that_the_broker_denies_holds_its_results_and_nothing_else(
    tmp_path: Path, strict: Mosquitto
) -> None:
    start_denying(strict, "result")
    with (
        Subscriber(strict.port) as subscriber,
        Rig(tmp_path / "edge", strict.port, subscriber) as rig,
    ):
        rig.drop("film.png", film(1))
        until(
            lambda: "results were refused and are kept" in reasons(rig), "refusal told", rig.words
        )
        until(lambda: rig.status()["outbox"]["mqtt"] == HELD, "held", rig.words)
        subscriber.publish(f"{TOPICS}/request/image", film(2), "mammo/v1/demo/ws/reply")
        subscriber.wait_under("reply", 1)
        allow_all(strict)
        assert rig.stop() == 0
        rig.ready().results(1)
        until(lambda: "refused" not in reasons(rig), "the refusal is over", rig.words)
        rig.stop()


def test_a_status_that_the_broker_denies_is_said_where_it_can_be(
    tmp_path: Path, strict: Mosquitto
) -> None:
    start_denying(strict, "status")
    with Rig(tmp_path / "edge", strict.port) as rig:
        until(
            lambda: "our status or health is not taken" in reasons(rig), "refusal told", rig.words
        )
        allow_all(strict)
        until(lambda: not reasons(rig), "the refusal is over", rig.words)
        rig.stop()


def test_a_broker_that_hangs_up_on_our_status_gets_the_results_all_the_same(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    """
    Home Assistant is told the topic of `status`, so the broker hangs up on that as well. The result
    waits from before on.
    """
    mosquitto.stop()
    with Proxy(mosquitto.port, hang_up_on=f"{TOPICS}/status".encode()) as proxy:
        rig = Rig(
            tmp_path / "edge", proxy.port, subscriber, "\n[homeassistant]\nenabled = true\n"
        ).ready()
        rig.drop("film.png", film(1))
        until(
            lambda: rig.status()["outbox"] == {"mqtt": {"waiting": 1, "held": 0}},
            "it waits",
            rig.words,
        )
        mosquitto.start()
        rig.results(1)
        until(rig.settled, "settled", rig.words)
        until(lambda: "hangs up on our status" in reasons(rig), "told", rig.words)
        assert "results were refused" not in reasons(rig)
        rig.stop()


def test_a_result_on_which_the_broker_hangs_up_lets_the_others_go(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    with (
        Proxy(mosquitto.port, hang_up_on=f"{TOPICS}/result".encode()) as proxy,
        Rig(tmp_path / "edge", proxy.port, subscriber) as rig,
    ):
        rig.drop("film.png", film(1))
        until(
            lambda: "results were refused and are kept" in reasons(rig), "refusal told", rig.words
        )
        subscriber.publish(f"{TOPICS}/request/image", film(2), "mammo/v1/demo/ws/reply")
        subscriber.wait_under("reply", 1)
        until(lambda: rig.status()["outbox"]["mqtt"] == HELD, "held", rig.words)
        assert "results were refused and are kept" in reasons(rig)
        rig.stop()


def test_a_broker_with_a_small_packet_limit_gets_the_result_without_its_heat_map(
    tmp_path: Path, strict: Mosquitto
) -> None:
    strict.start()
    with (
        Subscriber(strict.port) as subscriber,
        Rig(tmp_path / "first", strict.port, subscriber) as rig,
    ):
        rig.drop("film.png", film(1))
        whole = len(json.dumps(rig.results(1)[0], separators=(",", ":")))
        rig.stop()
    strict.stop()
    narrow = Mosquitto(tmp_path / "narrow", f"max_packet_size {whole - 20}\n")
    with (
        narrow,
        Subscriber(narrow.port) as subscriber,
        Rig(tmp_path / "second", narrow.port, subscriber) as rig,
    ):
        rig.drop("film.png", film(1))
        result = rig.results(1)[0]
        assert "heatmap" not in result
        assert result["score"] is not None
        rig.stop()


def test_tls_with_certificates_on_both_sides(tmp_path: Path, strict: Mosquitto) -> None:
    need("openssl", "openssl")
    certificates = make_certificates(tmp_path / "pki")
    strict.config = "".join(
        f"{key} {certificates / name}\n"
        for key, name in (
            ("cafile", "ca.crt"),
            ("certfile", "broker.crt"),
            ("keyfile", "broker.key"),
        )
    )
    strict.config += "require_certificate true\n"
    strict.start()
    rig = Rig(tmp_path / "edge", strict.port)
    rig.config.write_text(
        rig.config.read_text().replace('host = "127.0.0.1"', 'host = "localhost"')
    )
    files = {"ca": "ca.crt", "cert": "edge.crt", "key": "edge.key"}
    rig.configure(
        "[broker.tls]\nenabled = true\n"
        + "".join(f'{key} = "{certificates / name}"\n' for key, name in files.items())
    )
    with rig:
        until(lambda: rig.status()["broker"]["connected"], "connected over TLS", rig.words)
        rig.drop("film.png", film(1))
        until(lambda: rig.status()["counters"].get("delivered_mqtt") == 1, "delivered", rig.words)
        assert rig.stop() == 0


def make_certificates(folder: Path) -> Path:
    folder.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(
        "req",
        "-x509",
        *curve,
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "2",
        "-subj",
        "/CN=test authority",
    )
    for name, subject in (("broker", "/CN=localhost"), ("edge", "/CN=edge-1")):
        openssl(
            "req",
            *curve,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            subject,
            "-addext",
            "subjectAltName=DNS:localhost",
        )
        openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-copy_extensions",
            "copy",
            "-out",
            f"{name}.crt",
            "-days",
            "2",
        )
        (folder / f"{name}.key").chmod(0o644)
    return folder


def test_every_sink_gets_every_result_and_one_that_is_down_delays_no_other(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    lines = tmp_path / "results.jsonl"
    mosquitto.stop()  # it keeps what the subscriber subscribed
    with Rig(
        tmp_path / "edge", mosquitto.port, subscriber, f'[publish]\njsonl = "{lines}"\n'
    ) as rig:
        image_ids = {rig.drop(f"{number}.png", film(number)) for number in range(3)}
        until(
            lambda: lines.exists() and len(lines.read_bytes().splitlines()) == 3,
            "three lines without a broker",
            rig.words,
        )
        mosquitto.start()
        rig.assert_nothing_lost(image_ids)
        assert [json.loads(line) for line in lines.read_text().splitlines()] == subscriber.under(
            "result"
        )
        rig.stop()


def test_on_a_file_system_without_events_a_sender_that_pauses_until_it_is_answered_loses_nothing(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    rig = Rig(tmp_path / "edge", mosquitto.port, subscriber)
    add_keys(rig, "inbox", "quiet_s = 0.1", "poll_s = 0.1")
    whole = FILMS[0].read_bytes()
    half = whole[: len(whole) // 2]
    subprocess.run([need("bindfs", "bindfs"), str(source), str(rig.inbox)], check=True)
    try:
        with rig:
            (source / "film.png.part").write_bytes(film(1))
            (source / "film.png.part").rename(source / "film.png")
            (source / "slow.jpg").write_bytes(half)
            rig.result_of(sha256(half))
            told = rig.status()["inbox"]
            assert (told["seen"], told["watches"]) == (0, None)
            assert told["kept"] > 0
            with (source / "slow.jpg").open("ab") as writer:
                writer.write(whole[len(half) :])
            assert rig.result_of(sha256(whole))["outcome"] != "rejected"
            until(lambda: not any(source.iterdir()), "taken out of the inbox")
            ids = {result["image_id"] for result in rig.results(3)}
            assert {sha256(data) for data in (film(1), half, whole)} <= ids
            assert rig.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(rig.inbox)], check=True)
