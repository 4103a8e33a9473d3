"""The service comes back for ever, ever slower, and a person never waits."""

import os
import signal
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from edge.config.settings import Settings
from edge.daemon import process, starts
from edge.daemon.configuration import Configuration
from edge.daemon.starts import BY_SYSTEMD, MOST_S, NAME, Starts
from edge.errors import MammoEdgeError, StartupError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text("")
    return path


def waits(folder: Path, config: Path, times: int) -> list[float]:
    """Start that often without ever ending as told."""
    return [Starts(folder, config).begin() for _ in range(times)]


def test_each_start_after_one_that_ended_badly_waits_longer_up_to_a_limit(
    tmp_path: Path, config: Path
) -> None:
    waited = waits(tmp_path, config, 30)
    assert waited[:5] == [0.0, 2.0, 4.0, 8.0, 16.0]
    assert waited[-1] == MOST_S


@pytest.mark.parametrize("how", ["end", "settle"])
def test_a_start_after_one_that_ended_as_told_or_worked_waits_for_nothing(
    tmp_path: Path, config: Path, how: str
) -> None:
    waits(tmp_path, config, 5)
    getattr(Starts(tmp_path, config), how)()
    assert waits(tmp_path, config, 2) == [0.0, 2.0]


def test_another_configuration_or_another_boot_is_tried_at_once(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(tmp_path, config, 5)
    config.write_text("[device]\n")
    assert waits(tmp_path, config, 2) == [0.0, 2.0]
    monkeypatch.setattr(starts, "boot_id", lambda: "another")
    assert waits(tmp_path, config, 2) == [0.0, 2.0]


def test_where_systemd_waits_longer_itself_the_daemon_does_not(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(tmp_path, config, 5)
    monkeypatch.setenv(BY_SYSTEMD, "8")
    assert Starts(tmp_path, config).begin() == 0.0


@pytest.mark.parametrize("note", [b"", b"[]", b'{"unclean": "x"}', b"\xff"])
def test_a_note_that_cannot_be_read_or_written_is_none(
    tmp_path: Path, config: Path, note: bytes
) -> None:
    (tmp_path / NAME).write_bytes(note)
    assert Starts(tmp_path, config).begin() == 0.0
    assert Starts(tmp_path / "nowhere", config).begin() == 0.0


class Told:
    """A service manager that sends SIGTERM as soon as it hears that a start waits."""

    present = True
    heard: list[str] = []  # noqa: RUF012 - one test, one list

    def notify(self, *lines: str) -> None:
        self.heard += lines
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def signals() -> Any:  # noqa: ANN401 - a fixture that gives back what was there
    before = {number: signal.getsignal(number) for number in (1, 2, 15)}
    mask = os.umask(0o022)
    yield
    os.umask(mask)
    for number, handler in before.items():
        signal.signal(number, handler)


def configured(folder: Path, config: Path) -> Configuration:
    settings = Settings(state={"path": folder})
    return Configuration(settings, lambda: settings, file=config)


@pytest.mark.usefixtures("signals")
def test_a_start_that_waits_tells_so_and_ends_at_once_when_told_to(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "Systemd", Told)
    monkeypatch.setattr("edge.system.logs.start", lambda _: None)
    waits(tmp_path, config, 10)
    process.run(configured(tmp_path, config), cast("Any", None))
    assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in Told.heard)
    assert Starts(tmp_path, config).begin() == 0.0  # a person's restart does not wait


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(
    ("error", "next_s"), [(StartupError("x"), 0.0), (MammoEdgeError("x"), 2.0)]
)
def test_only_what_systemd_starts_again_makes_the_next_start_wait(
    tmp_path: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: MammoEdgeError,
    next_s: float,
) -> None:
    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setattr("edge.system.logs.start", lambda _: None)
    with pytest.raises(type(error)):
        process.run(configured(tmp_path, config), fail)
    assert Starts(tmp_path, config).begin() == next_s
