"""The page in a real browser, from the process that an operator starts."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.daemon.control.unix_socket import ControlServer
from edge.health import Health
from edge.page import access, heat
from edge.storage.ledger import Ledger
from edge.storage.ledger.verdicts import Verdict
from edge.storage.pictures import PICTURE, SMALL
from tests.support.chromium import Chromium, chromium, find_chromium
from tests.support.contract_page import examples
from tests.support.exam_ledger import Site, add_all
from tests.support.page_process import running
from tests.support.pairs import fill, women
from tests.support.results import Writer, rejected, scored
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
    """A browser that has come in."""

    browser: Chromium
    root: str
    process: "subprocess.Popen[bytes]"

    def open(self, path: str, words: str) -> None:
        """Go to a page and wait until these words stand there, and its script has run."""
        self.browser.open(self.root + path)
        self.reads(words)
        self.has("document.readyState == 'complete'")

    def reads(self, words: str) -> None:
        """Wait until these words stand on the page."""
        until(lambda: words in self.browser.text(), words, self.browser.text)

    def has(self, expression: str) -> None:
        """Wait until an expression is true on the page."""
        until(lambda: self.browser.find(expression), expression, self.browser.text)


@contextmanager
def come_in(browser: Chromium, config: Path) -> Iterator[Desk]:
    """Run the page of a device, and come in by the token of its address."""
    token = access.make_token(config.parent / "state")
    with running(config, "pictures = true\n") as (process, port):
        desk = Desk(browser, f"http://127.0.0.1:{port}", process)
        desk.open(f"/enter#{token}", "Sign out")
        yield desk
        browser.open("about:blank")


@pytest.fixture
def desk(browser: Chromium, writer: Writer) -> Iterator[Desk]:
    """A browser at the page of this test's ledger."""
    with come_in(browser, writer.config) as made:
        yield made


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ControlServer]:
    """A daemon that answers `status`."""
    answer = examples("mammo.health/1")[0] | {"state": "ready", "reasons": [], "reason_codes": []}
    server = ControlServer(
        tmp_path / "control.sock", {"status": lambda _request, _caller: answer}, Health()
    )
    server.start()
    yield server
    server.close()


VALUES = [[0.1 * row * column - 3 for column in range(24)] for row in range(24)]
HEATMAP = {"values": VALUES, "box": [0.0, 0.0, 400.0, 800.0]}
FOCUS = "document.activeElement"
LOADED = "performance.getEntriesByType('resource').map(one => new URL(one.name).pathname)"


def noise(side: int = 300) -> bytes:
    """A picture of which no other has a part."""
    pixels = np.random.default_rng(7).integers(0, 256, (side, side), np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def draw(ledger: Ledger, said: dict[str, Any], picture: bytes) -> None:
    """Keep the pictures of a result, as the worker that draws does."""
    made = {SMALL: picture, PICTURE: picture}
    assert ledger.pictures.keep(said["image_id"], said["result_id"], made, lambda: True)


def files_of(profile: Path) -> Iterator[bytes]:
    """What the browser keeps; files may go while they are read."""
    for file in profile.rglob("*"):
        with suppress(OSError):
            yield file.read_bytes()


def test_nothing_of_a_breast_stays_in_a_browser_that_signs_out(
    desk: Desk, writer: Writer, profile: Path
) -> None:
    said = writer.publish(scored(heatmap=HEATMAP))
    picture = noise()
    draw(writer.ledger, said, picture)
    desk.open(f"/results/{said['result_id']}", "film.dcm")
    desk.browser.find("sessionStorage.setItem('a', 'b')")
    shown = "performance.getEntriesByType('resource').filter(one => /jpg|map/.test(one.name))"
    until(lambda: desk.browser.find(f"{shown}.every(one => one.responseEnd)"), "pictures")
    assert desk.browser.find(f"{shown}.length") == 2
    parts = (picture[400:480], heat.png(VALUES)[-100:-20])
    assert not any(part in file for file in files_of(profile) for part in parts)
    desk.browser.find("document.querySelector('.leave button').click()")
    desk.reads("Token of this machine")
    assert desk.browser.find("sessionStorage.length") == 0
    assert not any(part in file for file in files_of(profile) for part in parts)
    desk.browser.find("window.here = 1")
    desk.browser.find("history.back()")
    desk.has("!window.here && document.readyState == 'complete'")  # another page, that is
    desk.reads("Token of this machine")
    assert "film.dcm" not in desk.browser.text()


def test_the_page_of_an_image_shows_by_itself_its_picture_its_verdict_and_its_next_result(
    desk: Desk, writer: Writer
) -> None:
    said = writer.publish(scored())
    desk.open(f"/results/{said['result_id']}", "film.dcm")
    assert "The picture" not in desk.browser.text()
    draw(writer.ledger, said, noise())
    desk.reads("The picture")
    writer.judge(Verdict(said["image_id"], "malignant", "biopsy", score_seen=False))
    desk.reads("Verdict: malignant by biopsy")
    writer.publish_again(said["image_id"], scored())
    desk.reads("the result that this image has now")


def test_the_page_of_an_image_that_is_erased_shows_it_no_longer(desk: Desk, writer: Writer) -> None:
    said = writer.publish(scored())
    desk.open(f"/results/{said['result_id']}", "film.dcm")
    writer.archive(said["image_id"])
    writer.ledger.erasure.erase([said["image_id"]], Path.unlink)
    desk.reads("This result is not in the ledger, or no longer.")
    assert "film.dcm" not in desk.browser.text()
    assert str(desk.browser.find("document.title")).startswith("Not shown")


def test_an_older_page_of_a_list_shows_an_erased_image_no_longer_and_no_newer_one(
    desk: Desk, writer: Writer
) -> None:
    names = (b"oldest.dcm", b"older.dcm", b"newest.dcm")
    (oldest, _, newest) = (writer.publish(scored(), name) for name in names)
    desk.open(f"/results?before={newest['seq']}", "oldest.dcm")
    writer.archive(oldest["image_id"])
    writer.ledger.erasure.erase([oldest["image_id"]], Path.unlink)
    writer.publish(scored(), b"later.dcm")  # is news, for which a test need not wait half a minute
    desk.has("!document.body.innerText.includes('oldest.dcm')")
    shown = desk.browser.find("[...document.querySelectorAll('a.name')].map(one => one.innerText)")
    assert shown == ["older.dcm"]


def test_the_page_of_an_exam_shows_by_itself_pictures_its_verdict_and_its_next_revision(
    browser: Chromium, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    site = Site(tmp_path / "state")
    add_all(site)
    (exam,) = site.published
    config = tmp_path / "edge.toml"
    config.write_text(
        f'[state]\npath = "{site.folder}"\n[control]\nsocket = "{tmp_path}/control.sock"\n'
    )
    with come_in(browser, config) as desk:
        desk.open(f"/exams/{exam['exam_id']}", "Revision 1")
        draw(site.ledger, exam["views"][0], noise())
        desk.has("document.querySelectorAll('.views img').length == 1")
        given = Verdict(exam["exam_id"], "benign", "follow-up", score_seen=True, kind="exam")
        assert site.ledger.verdicts.record([given]) == 1
        desk.reads("Verdict: benign by follow-up")
        site.add("L", "CC", 0.9, tail="again")
        site.later(1e6)
        desk.reads("Revision 2")
    site.ledger.close()


@pytest.mark.parametrize("wrong", [False, True])
def test_the_address_of_a_new_token_works_in_a_tab_that_shows_the_form(
    desk: Desk, writer: Writer, *, wrong: bool
) -> None:
    token = access.make_token(writer.folder / "state")
    desk.open("/enter", "Token of this machine")
    if wrong:
        desk.browser.open(f"{desk.root}/enter#guess")
        desk.reads("That is not the token.")
        desk.has("document.readyState == 'complete'")
    desk.browser.open(f"{desk.root}/enter#{token}")
    desk.reads("Sign out")
    assert desk.browser.find("location.href") == f"{desk.root}/"


def test_the_link_past_the_head_of_the_form_is_no_token(desk: Desk, writer: Writer) -> None:
    access.make_token(writer.folder / "state")
    desk.open("/enter", "Token of this machine")
    desk.browser.find("document.querySelector('.skip').click()")
    desk.has(f"{FOCUS}.id == 'main' && location.hash == '#main'")
    desk.open("/enter", "Token of this machine")
    assert "That is not" not in desk.browser.text()


def test_rows_come_by_themselves_and_neither_take_the_focus_nor_ask_for_a_map_again(
    desk: Desk, writer: Writer
) -> None:
    said = writer.publish(scored(heatmap=HEATMAP), b"first.dcm")
    desk.reads("first.dcm")
    desk.has(f"{LOADED}.includes('/results/{said['result_id']}/map.png')")
    desk.browser.find("document.querySelector('a.name').focus()")
    without = rejected("truncated: half") | {"heatmap": None}
    for number in range(3):
        writer.publish(without, f"later-{number}.dcm".encode())
        desk.reads(f"later-{number}.dcm")
    writer.arrive(b"waiting.dcm")
    desk.reads("waiting.dcm")
    assert desk.browser.find(f"{FOCUS}.innerText") == "first.dcm"
    maps = desk.browser.find(f"{LOADED}.filter(one => one.endsWith('map.png'))")
    assert maps == [f"/results/{said['result_id']}/map.png"]
    assert desk.browser.find("document.querySelector('.thumb img').naturalWidth") == 24


def test_the_keyboard_leads_past_the_head_to_a_row_and_into_it(desk: Desk, writer: Writer) -> None:
    said = writer.publish(scored())
    desk.open("/results", "film.dcm")
    desk.browser.press("Tab")
    assert desk.browser.find(f"{FOCUS}.innerText") == "Skip to the content"
    desk.browser.press("Enter")
    desk.has(f"{FOCUS}.id == 'main'")
    desk.browser.press("Tab")
    assert desk.browser.find(f"{FOCUS}.innerText") == "film.dcm"
    desk.browser.press("Enter")
    desk.has(f"location.pathname == '/results/{said['result_id']}'")
    desk.reads("Calibrated probability")


def test_a_daemon_that_ends_is_said_to_be_away_and_results_come_all_the_same(
    daemon: ControlServer, desk: Desk, writer: Writer
) -> None:
    desk.open("/", "ready")
    assert "No running daemon answers" not in desk.browser.text()
    daemon.close()
    writer.publish(scored())
    desk.reads("No running daemon answers")
    desk.reads("film.dcm")


@pytest.mark.parametrize("live", ["worklist", "image"])
def test_a_page_whose_process_ends_says_so_and_keeps_what_it_shows(
    desk: Desk, writer: Writer, live: str
) -> None:
    said = writer.publish(scored())
    desk.open("/" if live == "worklist" else f"/results/{said['result_id']}", "film.dcm")
    assert "does not answer" not in desk.browser.text()
    desk.process.kill()
    desk.reads("The page's process does not answer")
    assert "film.dcm" in desk.browser.text()


@pytest.mark.parametrize("live", ["worklist", "image"])
def test_a_session_that_ends_takes_what_is_shown_with_it(
    desk: Desk, writer: Writer, live: str
) -> None:
    said = writer.publish(scored())
    desk.open("/" if live == "worklist" else f"/results/{said['result_id']}", "film.dcm")
    access.make_token(writer.folder / "state")
    desk.reads("Token of this machine")
    assert "film.dcm" not in desk.browser.text()


BEYOND = """[...document.querySelectorAll('main, main *, .top *')].filter(one =>
  one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX == 'auto'
).map(one => one.tagName)"""
"""Elements of which a person sees a part alone, and the rest by scrolling sideways."""
LABELS = """[...document.querySelectorAll('tbody tr:first-child td')].map(
  one => getComputedStyle(one, '::before').content.slice(1, -1))"""
COLUMNS = "document.querySelectorAll('thead th').length"
LINKS = "[...document.querySelectorAll('.top nav a')]"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 360])
def test_on_a_phone_nothing_lies_beyond_the_edge_without_a_sign(
    desk: Desk, writer: Writer, width: int, *, dark: bool
) -> None:
    said = writer.publish(scored(heatmap=HEATMAP))
    draw(writer.ledger, said, noise())
    desk.browser.show(width, 800, dark=dark)
    for path, words in (("/", "film.dcm"), ("/model", "Thresholds"), ("/exams", "Exams")):
        desk.open(path, words)
        assert desk.browser.find(f"{LINKS}.map(one => one.innerText)")[-1] == "Model"
        assert desk.browser.find(
            f"{LINKS}.every(one => one.getBoundingClientRect().right <= {width})"
        )
        assert desk.browser.find(BEYOND) == []
        assert desk.browser.find("document.documentElement.scrollWidth") == width
    desk.open(f"/results/{said['result_id']}", "Scrolls sideways")
    assert desk.browser.find(BEYOND) == ["A"]
    desk.browser.show(1280, 800)
    desk.has("!document.body.innerText.includes('Scrolls sideways')")
    assert desk.browser.find(BEYOND) == []


def test_on_a_phone_each_figure_of_a_table_has_the_label_that_its_column_had(
    browser: Chromium, tmp_path: Path
) -> None:
    fill(tmp_path / "state", women(200, 4))
    config = tmp_path / "edge.toml"
    config.write_text(
        f'[state]\npath = "{tmp_path}/state"\n[control]\nsocket = "{tmp_path}/control.sock"\n'
    )
    browser.show(360, 800)
    with come_in(browser, config) as desk:
        for path in ("/performance", "/model"):
            desk.open(path, "mammo-edge")
            heads = desk.browser.find(
                "[...document.querySelectorAll('th')].map(th => th.textContent)"
            )
            assert (
                desk.browser.find("getComputedStyle(document.querySelector('thead')).display")
                == "none"
            )
            assert set(desk.browser.find(LABELS)) == set(heads[1 : desk.browser.find(COLUMNS)]), (
                path
            )
        desk.open("/performance", "mammo-edge")
        title = "getComputedStyle(document.querySelector('tbody th'), '::before').content"
        assert "Images" in desk.browser.find(title)
