"""The page in a real browser, from the process that an operator starts."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.page import access, heat
from edge.storage.pictures import PICTURE, SMALL
from tests.support.chromium import Chromium, chromium, find_chromium
from tests.support.page_process import running
from tests.support.results import Writer, scored
from tests.support.rig import until


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the browser keeps what it keeps."""
    return tmp_path_factory.mktemp("browser") / "profile"


@pytest.fixture(scope="module")
def browser(profile: Path) -> Iterator[Chromium]:
    """A browser that all tests share."""
    with chromium(find_chromium(), profile) as opened:
        yield opened


@dataclass(frozen=True)
class Desk:
    """A browser that has come in, and the daemon's ledger."""

    browser: Chromium
    writer: Writer
    root: str

    def open(self, path: str, words: str) -> None:
        """Go to a page and wait until these words stand there."""
        self.browser.open(self.root + path)
        self.reads(words)

    def reads(self, words: str) -> None:
        """Wait until these words stand on the page."""
        until(lambda: words in self.browser.text(), words, self.browser.text)


@pytest.fixture
def desk(browser: Chromium, writer: Writer) -> Iterator[Desk]:
    """A browser that has come in by the token of its address."""
    token = access.make_token(writer.folder / "state")
    with running(writer, "pictures = true\n") as (_, port):
        made = Desk(browser, writer, f"http://127.0.0.1:{port}")
        made.open(f"/enter#{token}", "Last results")
        yield made
        browser.open("about:blank")


def noise(side: int = 300) -> bytes:
    """A picture of which no other has a part."""
    pixels = np.random.default_rng(7).integers(0, 256, (side, side), np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def draw(writer: Writer, said: dict[str, Any], picture: bytes) -> None:
    """Keep the pictures of a result, as the worker that draws does."""
    made = {SMALL: picture, PICTURE: picture}
    assert writer.ledger.pictures.keep(said["image_id"], said["result_id"], made, lambda: True)


def files_of(profile: Path) -> Iterator[bytes]:
    """What the browser keeps; files may go while they are read."""
    for file in profile.rglob("*"):
        with suppress(OSError):
            yield file.read_bytes()


def test_nothing_of_a_breast_stays_in_a_browser_that_signs_out(desk: Desk, profile: Path) -> None:
    values = [[0.1 * row * column - 3 for column in range(24)] for row in range(24)]
    said = desk.writer.publish(scored(heatmap={"values": values, "box": [0.0, 0.0, 400.0, 800.0]}))
    picture = noise()
    draw(desk.writer, said, picture)
    desk.open(f"/results/{said['result_id']}", "film.dcm")
    desk.browser.find("sessionStorage.setItem('a', 'b')")
    shown = "performance.getEntriesByType('resource').filter(one => /jpg|map/.test(one.name))"
    until(lambda: desk.browser.find(f"{shown}.every(one => one.responseEnd)"), "pictures")
    assert desk.browser.find(f"{shown}.length") == 2
    parts = (picture[400:480], heat.png(values)[-100:-20])
    assert not any(part in file for file in files_of(profile) for part in parts)
    desk.browser.find("document.querySelector('.leave button').click()")
    desk.reads("Token of this machine")
    assert desk.browser.find("sessionStorage.length") == 0
    assert not any(part in file for file in files_of(profile) for part in parts)
    desk.browser.find("history.back()")
    desk.reads("Token of this machine")
    assert "film.dcm" not in desk.browser.text()
