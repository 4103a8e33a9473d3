"""What the composition root does before there is a daemon."""

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.config.settings import Inbox, Log, Model, Settings, Worker
from edge.daemon import process
from edge.daemon.app import Daemon
from edge.daemon.configuration import Configuration
from edge.daemon.control import handlers
from edge.daemon.pipeline.current_model import CurrentModel
from edge.daemon.wiring.handlers import Reload
from edge.errors import ConfigError, Unavailable
from edge.storage.audit import Audit
from tests.support.pipeline import AtOnce, parts_of


class StandIn:
    """A daemon whose disk has room at the second try."""

    tries = 0
    served = 0
    passwords: list[str | None] = []  # noqa: RUF012 - one test, one list

    def __init__(self, *parts: object) -> None:
        StandIn.tries += 1
        StandIn.passwords.append(parts[2])  # type: ignore[arg-type]
        if StandIn.tries == 1:
            msg = "ledger: database or disk is full"
            raise Unavailable(msg)

    def serve(self) -> None:
        StandIn.served += 1


def test_a_start_without_room_on_the_disk_is_put_off_and_not_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "PUT_OFF_S", 0.0)
    monkeypatch.setattr("edge.daemon.process.logging.basicConfig", lambda **_: None)
    monkeypatch.setenv("MAMMO_EDGE_BROKER__PASSWORD", "geheim")
    settings = Settings(broker={"password": "geheim"}, state={"path": tmp_path})
    mask = os.umask(0o022)
    process.run(Configuration(settings, lambda: settings), StandIn)
    assert os.umask(mask) == 0o027
    assert (StandIn.tries, StandIn.served) == (2, 1)
    assert StandIn.passwords == ["geheim", "geheim"]
    assert "MAMMO_EDGE_BROKER__PASSWORD" not in os.environ


def test_a_reload_names_what_of_its_changes_waits_for_a_restart() -> None:
    model = Model(keys=Path("/other/keys"), threads=2)
    after = Settings(
        model=model, worker=Worker(max_file_mb=64), log=Log(level="debug"), inbox=Inbox(rescan_s=1)
    )
    assert handlers.changes(Settings(), after) == (
        ["inbox", "model", "worker", "log"],
        ["inbox", "model.keys", "worker.max_file_mb"],
    )
    assert handlers.changes(after, after) == ([], [])


def test_a_reload_and_a_new_model_do_not_change_places_behind_each_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    Else a reload that read the old choice could take the old model after the new one was activated.
    """
    changing, held = threading.Lock(), []

    def note(*_: object) -> Any:  # noqa: ANN401 - stands in for a Serving
        held.append(changing.locked())
        return SimpleNamespace(bundle=SimpleNamespace(bundle_id="b" * 64))

    nothing = cast("Any", None)
    ledger = cast("Any", SimpleNamespace(audit=Audit(tmp_path)))
    parts = parts_of(ledger, nothing, nothing, tasks=AtOnce())
    monkeypatch.setattr(CurrentModel, "swap", note)
    opener = cast("Any", SimpleNamespace(with_settings=note, settings=Settings()))
    activation = cast("Any", SimpleNamespace(changing=changing))
    configuration = Configuration(Settings(), Settings)
    reload = Reload(configuration, parts, opener, activation)
    assert reload() == {"bundle": "b" * 64, "changed": [], "needs_restart": []}
    assert held == [True, True]
    assert not changing.locked()


def test_a_name_that_fits_no_image_or_several_is_told() -> None:
    known = {"abcd": ["abcd"], "abc": ["abcd", "abce"]}
    assert handlers.resolve_images(["abcd"], lambda name: known.get(name, [])) == ["abcd"]
    with pytest.raises(ConfigError, match="abc: 2 images of that id, expected one"):
        handlers.resolve_images(["abc"], lambda name: known.get(name, []))
    with pytest.raises(ConfigError, match="xyz: no image of that id"):
        handlers.resolve_images(["xyz"], lambda name: known.get(name, []))


def test_the_clock_is_looked_at_before_anything_begins_that_dates_rows() -> None:
    """Else a clock that is set within the first seconds would make films 56 years old."""
    daemon, begun = Daemon.__new__(Daemon), []

    class Part:
        def __init__(self, name: str) -> None:
            self.start = lambda: begun.append(name)
            self.wait_watching = lambda _: None
            self.look_at_clock = lambda: begun.append("look at clock")

    for name in ("announcer", "control", "metrics", "shadow", "delivery", "client", "folder"):
        setattr(daemon, f"_{name}", Part(name))
    for name in ("commands", "exams", "retention", "accelerator", "receiver"):
        setattr(daemon, f"_{name}", Part(name))
    vars(daemon).update(_requests=(Part("requests"),), _drawing=SimpleNamespace(drawer=None))
    daemon._start()
    assert (begun[0], len(begun)) == ("look at clock", 14)
