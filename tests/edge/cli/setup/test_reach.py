"""The broker is tried right after the answers about it; what is wrong is said and asked again."""

import sys
from pathlib import Path

import pytest

from deploy.demo.brokers import Mosquitto, free_port
from edge.config.load import load
from tests.support.certificates import make_certificates
from tests.support.rig import PROGRAM
from tests.support.terminal import Terminal

REST = ("--site", "north", "--device", "edge-1", "--inbox", "/srv/inbox")
AGAIN = "go on all the same, as the broker may not be up yet? [y/N]: "


def config(root: Path) -> Path:
    return root / "etc/mammo-edge/edge.toml"


def test_a_broker_that_is_down_is_told_before_anything_is_written_and_asked_for_again(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    dead = free_port()
    with Terminal(PROGRAM, "setup", "--root", tmp_path / "root", *REST) as terminal:
        terminal.until("broker [localhost]: ")
        terminal.press(f"localhost:{dead}\n".encode())
        terminal.until(f"broker: nothing listens at localhost port {dead}\r\n{AGAIN}")
        assert not (tmp_path / "root").exists()
        terminal.press(b"\n")
        terminal.until(f"broker [localhost:{dead}]: ")
        terminal.press(f"127.0.0.1:{mosquitto.port}\n".encode())
        terminal.until("broker: it answers")
        assert terminal.ended() == 0
    assert load(config(tmp_path / "root"), {}).broker.port == mosquitto.port
    assert "event=" not in terminal.said


def test_a_broker_that_is_kept_by_an_empty_answer_is_tried_too_and_may_be_down(
    tmp_path: Path,
) -> None:
    dead = free_port()
    config(tmp_path).parent.mkdir(parents=True)
    config(tmp_path).write_text(f"[broker]\nport = {dead}\n")
    with Terminal(PROGRAM, "setup", "--root", tmp_path, *REST) as terminal:
        terminal.until("broker [localhost]: ")
        terminal.press(b"\n")
        terminal.until(f"nothing listens at localhost port {dead}\r\n{AGAIN}")
        terminal.press(b"y\n")
        assert terminal.ended() == 0
    assert load(config(tmp_path), {}).broker.port == dead


def test_who_wants_no_more_after_the_broker_is_told_leaves_nothing(tmp_path: Path) -> None:
    with Terminal(PROGRAM, "setup", "--root", tmp_path, *REST) as terminal:
        terminal.until("broker [localhost]: ")
        terminal.press(f"localhost:{free_port()}\n".encode())
        terminal.until(AGAIN)
        assert terminal.interrupted() == 78
    assert "nothing was written" in terminal.said
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_that_no_broker_makes_good_is_no_fault_of_the_broker(
    tmp_path: Path,
) -> None:
    config(tmp_path).parent.mkdir(parents=True)
    config(tmp_path).write_text("[worker]\ntimeout_s = -1.0\n")
    with Terminal(PROGRAM, "setup", "--root", tmp_path, *REST) as terminal:
        terminal.until("broker [localhost]: ")
        terminal.press(f"localhost:{free_port()}\n".encode())
        assert terminal.ended() == 78
    assert "mammo-edge: worker.timeout_s: " in terminal.said
    assert AGAIN not in terminal.said


@pytest.fixture
def over_tls(tmp_path: Path) -> Mosquitto:
    """A broker that speaks TLS alone, and beside it an authority that does not know it."""
    for folder, *words in (
        ("pki", "ca", "Ours"),
        ("pki", "broker", "127.0.0.1"),
        ("other", "ca", "X"),
    ):
        make_certificates(tmp_path / folder, *words)
    pki = tmp_path / "pki"
    files = (("cafile", "ca.crt"), ("certfile", "broker.crt"), ("keyfile", "broker.key"))
    lines = "".join(f"{key} {pki / name}\n" for key, name in files)
    return Mosquitto(tmp_path / "mosquitto", lines)


def test_tls_is_tried_with_the_authority_that_was_given(
    tmp_path: Path, over_tls: Mosquitto
) -> None:
    broker = f"mqtts://127.0.0.1:{over_tls.port}\n".encode()
    with over_tls:
        for folder, said in (
            ("pki", "broker: it answers"),
            ("other", "shows a certificate that we do not trust: "),
        ):
            words = ("--root", tmp_path / "root", "--ca", tmp_path / folder / "ca.crt")
            with Terminal(PROGRAM, "setup", *words) as terminal:
                terminal.until("broker [")
                terminal.press(broker)
                terminal.until(said)


def test_a_broker_without_tls_where_tls_was_chosen_is_told(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with Terminal(PROGRAM, "setup", "--root", tmp_path) as terminal:
        terminal.until("broker [localhost]: ")
        terminal.press(f"mqtts://127.0.0.1:{mosquitto.port}\n".encode())
        terminal.until(f"127.0.0.1 port {mosquitto.port} answers, and not in TLS: ")
        terminal.until(AGAIN)


def test_the_trial_at_the_end_puts_no_lines_of_the_log_on_the_terminal() -> None:
    program = (
        "from edge.cli.doctor import broker; from edge.cli.setup.command import try_broker; "
        "from edge.config.settings import Settings; from pathlib import Path; broker.BROKER_S = 2; "
        f"section = {{'port': {free_port()}}}; "
        "try_broker(Settings.model_validate({'broker': section}), Path('/nowhere/edge.toml'))"
    )
    with Terminal(Path(sys.executable), "-c", program) as terminal:
        assert terminal.ended() == 0
    assert "FAILED" in terminal.said
    assert "event=" not in terminal.said
