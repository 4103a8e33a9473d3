"""Commands as a person meets them: names from elsewhere, odd times, missing rights."""

import argparse
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.cli import check, control, main, output
from edge.cli.parser import make_parser
from edge.cli.setup.plan import host_and_port
from edge.config.settings import Broker
from edge.contract.messages import REPLAY_AT_ONCE
from edge.daemon.control import unix_socket
from edge.daemon.control.handlers import resolve_images
from edge.errors import ConfigError, StartupError, Unavailable
from edge.mqtt.tls import tls_context
from edge.storage.ledger.queries import open_queries, parse_since


@pytest.mark.parametrize(
    "text",
    ["99999999999999999999", "0001-01-01", "²", "", "yesterday"],
)
def test_a_time_or_number_out_of_range_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="expected a sequence number or a time"):
        parse_since(text)


def test_a_time_goes_in_as_it_comes_out() -> None:
    written = output.local("2026-11-29T01:02:03.456+00:00")
    assert parse_since(written) == (0, parse_since("2026-11-29T01:02:03+00:00")[1])
    assert written[-6] in "+-"


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("film\x1b[2J.dcm", "film\\x1b[2J.dcm"),
        ("a\nb", "a\\nb"),
        ("a\u202eb", "a\\u202eb"),
        (os.fsdecode(b"caf\xe9.dcm"), "caf\\udce9.dcm"),
        ("Köln ü 東京.dcm", "Köln ü 東京.dcm"),
    ],
)
def test_nothing_in_a_name_acts_on_a_terminal(
    name: str, escaped: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.print_table(("file",), [(name,)])
    assert capsys.readouterr().out.splitlines() == ["file", escaped]


def test_global_options_stand_before_or_after_the_command() -> None:
    parse = make_parser().parse_args
    for words in (
        ["--json", "--config", "x", "status"],
        ["status", "--json", "--config", "x"],
        ["--json", "model", "list", "--config", "x"],
        ["model", "--json", "--config", "x", "list"],
    ):
        found = parse(words)
        assert (found.json, found.config) == (True, Path("x")), words
    assert parse(["status"]).json is False


def asked_of(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., dict[str, Any]]) -> list[Any]:
    asked: list[Any] = []

    def ask(_arguments: argparse.Namespace, command: str, **fields: object) -> dict[str, Any]:
        asked.append((command, fields))
        return answer(**fields)

    monkeypatch.setattr(control, "ask", ask)
    return asked


def test_replay_asks_until_all_results_are_sent_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = iter((REPLAY_AT_ONCE, 3))
    asked = asked_of(monkeypatch, lambda **_: {"results": next(counts), "last_seq": 7})
    assert main.main(["replay", "--since", "2026-11-01"]) == 0
    assert asked == [("replay", {"since": since, "topic": "result"}) for since in ("2026-11-01", 7)]
    assert capsys.readouterr().out == f"{REPLAY_AT_ONCE + 3} results are sent again\n"


def test_replay_asks_for_exams_if_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_of(monkeypatch, lambda **_: {"results": 1, "last_seq": 7})
    assert main.main(["replay", "--since", "5", "--exams"]) == 0
    assert asked == [("replay", {"since": "5", "topic": "exam"})]


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (["--all"], {"all": True}),
        (
            ["--reason", "poison", "--since", "2026-11-01"],
            {"reason": "poison", "since": "2026-11-01"},
        ),
        (["abcd"], {"images": ["abcd"]}),
    ],
)
def test_retry_chooses_by_id_reason_time_or_takes_all(
    monkeypatch: pytest.MonkeyPatch, words: list[str], fields: dict[str, object]
) -> None:
    asked = asked_of(monkeypatch, lambda **_: {"images": []})
    assert main.main(["retry", *words]) == 0
    assert asked == [("retry", fields)]


def test_retry_without_a_choice_is_wrong_usage() -> None:
    with pytest.raises(SystemExit, match="2"):
        main.main(["retry"])


def test_a_single_digit_is_no_id() -> None:
    with pytest.raises(ConfigError, match="expected 3 or more"):
        resolve_images(["0"], lambda _: ["0" * 64])


def test_without_rights_a_person_is_told_the_group_and_not_that_no_daemon_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(Unavailable, match=f"join the group {tmp_path.group()}"):
        unix_socket.ask(tmp_path / "control.sock", "status")


def test_a_folder_without_rights_is_a_finding_and_any_other_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", refuse)
        assert check._folder("spool.path", tmp_path)[1:] == (
            False,
            f"{tmp_path}: Permission denied",
        )

    def fail(_: argparse.Namespace) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/x")

    monkeypatch.setattr(main, "command_of", lambda _: fail)
    assert main.main(["check"]) == 1
    assert "/srv/x: Permission denied: run this as root" in capsys.readouterr().err


def test_results_before_the_first_start_say_so(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="the service was never started"), open_queries(tmp_path):
        pass


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("broker.lan", ("broker.lan", None)),
        ("broker.lan:1884", ("broker.lan", 1884)),
        ("mqtts://broker.lan:8884/", ("broker.lan", 8884)),
        ("mqtt://[fd00::1]:1883", ("fd00::1", 1883)),
        ("fd00::1", ("fd00::1", None)),
        ("fe80::1%eth0", ("fe80::1%eth0", None)),
        ("brøker.lan.", ("brøker.lan.", None)),
    ],
)
def test_a_broker_is_a_name_an_address_or_its_url(said: str, found: tuple[str, int | None]) -> None:
    assert host_and_port(said) == found


@pytest.mark.parametrize(
    "said", ["broker lan", "http://broker", "a b:1883", "broker:x", "x/y", "a..b", "b" * 64]
)
def test_what_names_no_broker_is_refused(said: str) -> None:
    with pytest.raises(ConfigError, match="broker: found"):
        host_and_port(said)


@pytest.mark.parametrize("key", ["ca", "cert"])
def test_a_failure_of_tls_names_its_file(tmp_path: Path, key: str) -> None:
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("no certificate")
    tls = {"enabled": True, key: damaged} | ({"key": damaged} if key == "cert" else {})
    with pytest.raises(ConfigError, match=rf"broker\.tls\.{key}: {damaged}"):
        tls_context(Broker(tls=tls))
