"""Maps are drawn by the bundle that gave the result, and by none that points elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.daemon.pipeline.artist import Artist
from edge.daemon.pipeline.drawer import Drawer
from edge.daemon.publish.dicom_map import Scored
from edge.daemon.wiring import maps
from edge.daemon.wiring.maps import Maps
from edge.daemon.workers.serving import Serving
from edge.domain import Rejection
from edge.drawn import Capture, Drawn
from edge.errors import Reason, StateDamagedError, Unavailable
from edge.health import Cause
from edge.models.manifest import Manifest
from edge.storage.ledger import Ledger
from edge.storage.spool import Spool
from tests.support.bundles import manifest
from tests.support.pipeline import parts_of

CAPTURE = Capture(1, 1, b"", 0.5)
POINTS, ELSEWHERE = 0.9, 0.1


def bundle(name: str, hits: float) -> Any:  # noqa: ANN401 - a bundle
    fields = manifest()
    fields["scores"]["pointing"] = {"films": 40, "with_tolerance": {"hits": hits}}
    made = Manifest.model_validate(fields)
    return SimpleNamespace(bundle_id=name, manifest=made, folder=Path(name))


@dataclass
class House:
    """A daemon's parts, with installed bundles, and an artist who draws at once."""

    maps: Maps
    parts: Any
    verdict: object
    drew: list[tuple[Path, str]]
    kept: list[object]
    failing: Exception | None = None
    """Is raised where pictures are kept."""

    def draw(self, bundle_id: str) -> Capture | str:
        return self.maps.draw(Scored("image", "result", bundle_id, Path("film")))

    @property
    def causes(self) -> list[Cause]:
        return [cause for _, cause in self.parts.health.reasons_and_causes()]


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    serves = bundle("serves", getattr(request, "param", POINTS))
    others = {"old": bundle("old", POINTS), "poor": bundle("poor", ELSEWHERE), "shipped": None}
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    pool = SimpleNamespace(in_work=0)
    parts = parts_of(ledger, spool, Serving(serves, cast("Any", pool)))
    made = House(cast("Any", None), parts, Drawn(b"", b"", CAPTURE), [], [])

    def draw(path: Path, by: Any, _: object) -> object:  # noqa: ANN401 - a bundle
        made.drew.append((path, by.bundle_id))
        return made.verdict

    def keep(*named: object) -> None:
        made.kept.append(named)
        if made.failing is not None:
            raise made.failing

    artist = cast("Artist", SimpleNamespace(draw=draw))
    drawer = cast("Drawer", SimpleNamespace(keep=keep))
    store = cast("Any", SimpleNamespace(installed=others.get))
    made.maps = Maps(parts, store, artist, drawer)
    yield made
    ledger.close()


def test_a_map_is_drawn_by_the_bundle_of_its_result_and_the_page_has_its_pictures(
    house: House,
) -> None:
    assert house.draw("serves") is house.draw("old") is CAPTURE
    assert house.drew == [(Path("film"), "serves"), (Path("film"), "old")]
    assert house.kept == [("image", "result", house.verdict)] * 2


@pytest.mark.parametrize("error", [Unavailable("no room"), OSError(28, "no room")])
def test_pictures_that_cannot_be_kept_are_told_and_counted_by_the_drawer_alone(
    error: Exception, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    house.failing = error
    assert house.draw("serves") is CAPTURE
    assert house.parts.health.counters == {}
    assert 'event=picture_not_kept image=image why="no room"' in caplog.text


def test_a_damaged_ledger_ends_the_drawing_of_maps(house: House) -> None:
    house.failing = StateDamagedError("torn")
    with pytest.raises(StateDamagedError):
        house.draw("serves")


def test_a_bundle_that_is_gone_draws_none(house: House) -> None:
    assert house.draw("none") == "model_gone"


def test_a_former_bundle_that_points_elsewhere_draws_none_and_degrades_nobody(
    house: House,
) -> None:
    assert house.draw("poor") == "not_pointing"
    assert (house.drew, house.causes) == ([], [])


@pytest.mark.parametrize("house", [ELSEWHERE], indirect=True)
def test_a_serving_bundle_that_points_elsewhere_is_told_of_until_another_serves(
    house: House,
) -> None:
    assert house.causes == [Cause.MAPS_NOT_POINTING]
    (why,) = house.parts.health.reasons
    assert "10.0% of 40 malignant test films, expected at least 60%" in why
    assert house.draw("serves") == "not_pointing"
    pool = house.parts.model.serving.workers
    house.parts.model.swap(Serving(bundle("new", POINTS), pool))
    assert house.draw("new") is CAPTURE
    assert house.causes == []


@pytest.mark.parametrize("verdict", [Rejection(Reason.POISON, ""), Drawn(b"", b"")])
def test_what_cannot_be_drawn_is_told_of(verdict: object, house: House) -> None:
    house.verdict = verdict
    assert house.draw("serves") == "not_drawn"


def test_images_in_work_go_first(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.parts.model.serving.workers.in_work = 1

    def sleep(_: float) -> None:
        assert house.drew == []
        house.parts.model.serving.workers.in_work = 0

    monkeypatch.setattr("edge.daemon.wiring.maps.time.sleep", sleep)
    assert house.draw("serves") is CAPTURE
    assert house.parts.model.in_work == 0


def test_but_not_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.parts.model.serving.workers.in_work = 1
    monkeypatch.setattr(maps, "PATIENCE_S", -1.0)
    assert house.draw("serves") is CAPTURE
