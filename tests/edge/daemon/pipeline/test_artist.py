"""One worker draws, with the bundle that gave the result, and lets go when the daemon ends."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.daemon.pipeline.artist import Artist
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Died, Interrupted, Unread
from edge.domain import Rejection
from edge.drawn import Drawn
from edge.errors import InferenceError, Reason, Unavailable, UnreadableError

FILM = Path("film.dcm")


def bundle(name: str) -> Any:  # noqa: ANN401 - a bundle
    return SimpleNamespace(bundle_id=name * 64, folder=Path(name))


def nothing() -> None:
    """Beat for nobody."""


@dataclass
class Studio:
    """Workers that draw as they are told to, and the artist who has them."""

    verdict: object = field(default_factory=lambda: Drawn(b"large", b"small"))
    opened: list[str] = field(default_factory=list)
    closed: int = 0

    def open_(self, folder: Path) -> "Future[Serving]":
        self.opened.append(folder.name)
        future: Future[Serving] = Future()
        future.set_result(Serving(bundle(folder.name), cast("Any", self)))
        return future

    def examine(self, path: Path, beat: object) -> object:
        assert (path, beat) == (FILM, nothing)
        return self.verdict

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def artist(studio: Studio) -> Iterator[Artist]:
    made = Artist(studio.open_)
    yield made
    made.close()


def test_another_model_gets_a_worker_of_its_own(studio: Studio, artist: Artist) -> None:
    for name in "aab":
        assert artist.draw(FILM, bundle(name), nothing) is studio.verdict
    assert studio.opened == ["a", "b"]
    assert studio.closed == 1


def test_a_rejection_is_an_answer(studio: Studio, artist: Artist) -> None:
    studio.verdict = Rejection(Reason.POISON, "")
    assert artist.draw(FILM, bundle("a"), nothing) is studio.verdict


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        (Died("SIGSEGV"), InferenceError),
        (Interrupted("pool stopped"), Unavailable),
        (Unread("away"), UnreadableError),
    ],
)
def test_a_worker_that_fails_is_told_of(
    verdict: object, error: type[Exception], studio: Studio, artist: Artist
) -> None:
    studio.verdict = verdict
    with pytest.raises(error, match=r"SIGSEGV|stopped|away"):
        artist.draw(FILM, bundle("a"), nothing)


def test_once_the_daemon_ends_nothing_is_drawn(studio: Studio, artist: Artist) -> None:
    artist.draw(FILM, bundle("a"), nothing)
    artist.close()
    for name in "ab":
        with pytest.raises(Unavailable, match="the daemon ends"):
            artist.draw(FILM, bundle(name), nothing)
    assert studio.opened == ["a"]
    assert studio.closed >= 1


def test_a_worker_that_comes_up_as_the_daemon_ends_is_let_go(studio: Studio) -> None:
    opening: Future[Serving] = Future()
    beats: list[int] = []

    def beat() -> None:
        beats.append(1)
        alone.close()

    alone = Artist(lambda _: opening)
    with pytest.raises(Unavailable, match="the daemon ends"):
        alone.draw(FILM, bundle("a"), beat)
    opening.set_result(Serving(bundle("a"), cast("Any", studio)))
    assert (studio.closed, beats) == (1, [1])
