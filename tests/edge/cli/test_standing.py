"""Commands reach the daemon that runs on although its configuration is refused by now."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge.cli import exits, main, standing
from edge.config.last_good import LastGood, named_path
from edge.config.load import load
from edge.daemon.control.unix_socket import ControlServer
from edge.errors import Unavailable
from edge.health import Health
from edge.storage.audit import Caller
from tests.support.contract_page import examples

REFUSED = "[surprise]: unknown"
MODEL = {"bundle": "b" * 64, "name": "model", "version": "1", "previous": None}
ANSWERS: dict[str, dict[str, Any]] = {
    "retry": {"images": ["abc"]},
    "replay": {"results": 1, "last_seq": 1},
    "reload": {"bundle": "b" * 64, "changed": [], "needs_restart": []},
    "forget": {
        **dict.fromkeys(("files", "results", "lines", "damaged_ledgers"), 1),
        "out_of_reach": [],
    },
    "model-rollback": MODEL,
}


@dataclass
class Site:
    """A daemon's control socket, and its configuration."""

    config: Path
    asked: list[str] = field(default_factory=list)

    def run(self, *words: str) -> int:
        return main.main([*words, "--config", str(self.config)])

    def refuse(self, text: str = "[surprise]\n") -> None:
        """Make the configuration one that is refused, but for its socket."""
        self.config.write_text(self.config.read_text() + text)

    def handler(self, command: str, answer: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a handler
        def obey(request: Mapping[str, Any], _: Caller) -> dict[str, Any]:
            self.asked.append(command)
            if request.get("images") == ["none"]:
                msg = "none: no image has it"
                raise Unavailable(msg)
            return dict(answer)

        return obey


def configured(folder: Path) -> Site:
    config = folder / "edge.toml"
    config.write_text(
        f'[state]\npath = "{folder}/state"\n[broker]\nhost = "broker.lan"\n'
        f'[control]\nsocket = "{folder}/control.sock"\n'
    )
    (folder / "state").mkdir()
    return Site(config)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = configured(tmp_path)
    answers = {"status": examples("mammo.health/1")[0], **ANSWERS}
    handlers = {command: made.handler(command, answer) for command, answer in answers.items()}
    server = ControlServer(tmp_path / "control.sock", handlers, Health())
    server.start()
    yield made
    server.close()


@pytest.mark.parametrize("text", ["[surprise]\n", "[control\n", "[broker]\nport = 0\n"])
def test_status_comes_with_what_is_wrong_with_the_file(
    site: Site, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    site.refuse(text)
    assert site.run("status", "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["schema"] == "mammo.health/1"
    assert f"configuration refused: {site.config}: " in told.err
    assert standing.GOES_ON in told.err


@pytest.mark.parametrize(
    "words",
    [
        ("retry", "abc"),
        ("replay", "--since", "0"),
        ("reload",),
        ("forget", "b" * 64),
    ],
)
def test_every_command_for_the_daemon_reaches_it(
    site: Site, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    site.refuse()
    assert site.run(*words) == 0
    assert site.asked == [words[0]]
    assert REFUSED in capsys.readouterr().err


def test_the_model_goes_back_by_the_configuration_that_worked_last(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    LastGood(site.config, {}).keep(load(site.config))
    site.refuse()
    assert site.run("model", "rollback") == 0
    assert site.asked == ["status", "model-rollback"]
    assert REFUSED in capsys.readouterr().err


@pytest.mark.parametrize("readable", [True, False])
def test_the_screen_has_what_can_be_known_without_the_file(
    site: Site, capsys: pytest.CaptureFixture[str], *, readable: bool
) -> None:
    if readable:
        LastGood(site.config, {}).keep(load(site.config))
    site.refuse()
    assert site.run("status") == 0
    shown = capsys.readouterr().out
    assert "connected, MQTT 5" in shown
    assert ("broker.lan" in shown) is readable
    assert ("\ndisk " in shown) is readable


def test_a_daemon_that_refuses_is_heard_and_the_file_is_told_too(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.refuse()
    assert site.run("retry", "none") == exits.FAILED
    told = capsys.readouterr().err
    assert REFUSED in told
    assert told.endswith("mammo-edge: none: no image has it\n")


def test_without_a_daemon_the_refusal_is_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = configured(tmp_path)
    site.refuse()
    assert site.run("status") == exits.CONFIG
    assert REFUSED in capsys.readouterr().err


def test_a_mistyped_file_is_not_answered_by_another_daemon(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.config = site.config.with_name("typo.toml")
    assert site.run("status") == exits.CONFIG
    assert "typo.toml: No such file" in capsys.readouterr().err
    assert site.asked == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[control]\nsocket = "/run/a"\n', "/run/a"),
        ("[ control ] # here\n\n# socket\n  socket='/run/b' # so\n", "/run/b"),
        ('control.socket = "/run/c"\n', "/run/c"),
        ('[broker\n[control]\nx = = 1\nsocket = "/run/d"\n', "/run/d"),
        ('[state]\nsocket = "/run/e"\n', None),
        ('[control]\n# socket = "/run/f"\n', None),
    ],
)
def test_a_path_is_found_in_text_that_is_not_toml(text: str, found: str | None) -> None:
    assert named_path(text, "control", "socket") == (Path(found) if found else None)
