"""What the page shows: the ledger and the daemon's report, and nothing of a film."""

import hashlib
import json
import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest

from edge.config.settings import Page, Settings, State
from edge.daemon.control.unix_socket import ControlServer
from edge.domain import Flag, Withheld
from edge.health import Health
from edge.models.active import shipped_bundle
from edge.models.manifest import read_manifest
from edge.page import app, charts, device, words
from edge.page.heat import png
from edge.storage.ledger.followed import Subject
from edge.storage.ledger.verdicts import Verdict
from edge.storage.ledger.worklist import DayOfScores, Worklist
from edge.storage.pictures import PICTURE, SMALL
from tests.support.browser import Browser
from tests.support.contract_page import examples
from tests.support.exam_ledger import Site, add_all
from tests.support.pairs import fill, fill_exams, women
from tests.support.results import Writer, rejected, scored

HOSTILE = "<img src=x onerror=alert(1)>\u202egpj.\x1b[31m&\"'"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A daemon that answers `status`; its answer may be changed."""
    answer = examples("mammo.health/1")[0]
    handlers = {"status": lambda _request, _caller: answer}
    server = ControlServer(tmp_path / "control.sock", handlers, Health())
    server.start()
    yield answer
    server.close()


def test_the_worklist_has_what_waits_and_the_last_results(
    enter: Callable[..., Browser], writer: Writer
) -> None:
    said = writer.publish(scored(), b"first.dcm")
    writer.publish(rejected("truncated: the file is incomplete"), b"half.dcm")
    writer.arrive(b"waiting.dcm")
    shown = enter().get("/").text
    assert shown.index("half.dcm") < shown.index("first.dcm")
    assert f"{said['score']['malignant']:.3f}" in shown
    assert "truncated: the file is incomplete" in shown
    assert re.search(r"waiting\.dcm</span>\s*<span class=\"quiet\">[\w ]+<", shown)
    assert re.search(r"the oldest for \d", shown)


def test_without_a_daemon_it_says_so_and_shows_what_is_on_the_disk(
    enter: Callable[..., Browser], writer: Writer
) -> None:
    writer.publish(scored())
    answer = enter().get("/")
    assert answer.status == 200
    assert "No running daemon answers" in answer.text
    assert "film.dcm" in answer.text


def test_a_daemon_that_hangs_is_given_up_and_leaves_no_thread(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "PATIENCE_S", 0.05)
    before = threading.active_count()
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(settings.control.socket))
        hanging.listen()
        report = device.report_of(settings)
        assert threading.active_count() == before
    assert report.said is None
    assert "no running daemon answers: timed out" in report.why_not


def test_the_daemon_s_state_stands_there_with_reasons_and_advice(
    enter: Callable[..., Browser], daemon: dict[str, Any]
) -> None:
    daemon |= {
        "state": "degraded",
        "reasons": ["spool: 12 MiB free, intake needs 256"],
        "reason_codes": ["space_short"],
        "counters": daemon["counters"] | {"worker_deaths": 2},
    }
    shown = enter().get("/").text
    assert "Why it is degraded" in shown
    assert "spool: 12 MiB free, intake needs 256" in shown
    assert "free disk space: shorten <code>[retention]</code>" in shown
    assert "2 deaths since the start" in shown


def test_a_hostile_file_name_is_text_and_nothing_else(
    enter: Callable[..., Browser], writer: Writer
) -> None:
    said = writer.publish(scored(), HOSTILE.encode() + b"\xff")
    writer.arrive(HOSTILE.encode())
    browser = enter()
    for path in ("/", "/results", f"/results/{said['result_id']}"):
        shown = browser.get(path).text
        assert "&lt;img src=x onerror=alert(1)&gt;" in shown
        assert "<img src=x" not in shown
        assert not {"\u202e", "\x1b"} & set(shown)
        assert r"\u202egpj" in shown


def test_names_of_files_can_be_left_out(
    enter: Callable[..., Browser], writer: Writer, settings: Settings
) -> None:
    said = writer.publish(scored(), b"DOE^JANE.dcm")
    waits = writer.arrive(b"DOE^MARY.dcm")
    browser = enter(settings.model_copy(update={"page": Page(names=False)}))
    for path in ("/", "/results", f"/results/{said['result_id']}"):
        shown = browser.get(path).text
        assert "DOE" not in shown
        assert said["image_id"][:8] in shown
    assert waits[:8] in browser.get("/").text


def test_an_image_has_its_map_peaks_score_and_cautions(
    enter: Callable[..., Browser], writer: Writer
) -> None:
    peak = {"x": 30.0, "y": 40.0, "box": [20.0, 30.0, 40.0, 50.0], "probability": 0.75}
    heatmap = {"values": [[-20.0, 0.0, 3.0], [-2.0, -1.0, 0.5]], "box": [0.0, 0.0, 60.0, 80.0]}
    gate = {"passed": True, "reasons": [], "flags": ["implant"]}
    said = writer.publish(scored(findings=[peak], heatmap=heatmap, gate=gate))
    browser = enter()
    shown = browser.get(f"/results/{said['result_id']}").text
    assert "peak 1: 0.750" in shown
    assert "a breast with an implant" in shown
    assert said["image_id"] in shown
    picture = browser.get(f"/results/{said['result_id']}/map.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["cache-control"] == "no-store"
    pixels = cv2.imdecode(np.frombuffer(picture.body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.shape == (2, 3, 4)
    assert (pixels[..., 3] == 0).tolist() == [[True, False, False], [False, False, False]]
    assert pixels[0, 2, :3].sum() > pixels[0, 1, :3].sum() > pixels[1, 0, :3].sum()


def test_numbers_of_peaks_that_lie_close_cover_neither_each_other_nor_a_frame(
    enter: Callable[..., Browser], writer: Writer
) -> None:
    frames = [(100, 200, 160, 260), (105, 262, 165, 330), (162, 205, 230, 260)]
    findings = [
        {"x": x, "y": y, "box": [x, y, right, bottom], "probability": 0.5}
        for x, y, right, bottom in frames
    ]
    heatmap = {"values": [[0.0]], "box": [0.0, 0.0, 400.0, 800.0]}
    image = scored()["image"] | {"rows": 800, "columns": 400}
    said = writer.publish(scored(findings=findings, heatmap=heatmap, image=image))
    shown = enter().get(f"/results/{said['result_id']}").text
    numbers = re.findall(r'x="([\d.]+)" y="([\d.]+)" font-size="([\d.]+)">(\d)<', shown)
    assert [number for *_, number in numbers] == ["1", "2", "3"]
    boxes = [
        (float(x), float(y) - 0.73 * float(font), float(x) + 0.7 * float(font), float(y))
        for x, y, font, _ in numbers
    ]
    for place, one in enumerate(boxes):
        for other in [*boxes[place + 1 :], *frames]:
            assert (
                one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
            ), (one, other)


@pytest.fixture
def drawn(settings: Settings, writer: Writer) -> tuple[Settings, dict[str, Any]]:
    """Settings with pictures, and a result of which one was drawn."""
    said = writer.publish(scored())
    made = {SMALL: b"\xff\xd8 small", PICTURE: b"\xff\xd8 large"}
    writer.ledger.pictures.keep(said["image_id"], said["result_id"], made, lambda: True)
    return settings.model_copy(update={"page": Page(pictures=True)}), said


def test_what_a_worker_drew_is_sent_as_it_is_and_kept_by_no_browser(
    enter: Callable[..., Browser], drawn: tuple[Settings, dict[str, Any]]
) -> None:
    settings, said = drawn
    browser, at = enter(settings), f"/results/{said['result_id']}"
    assert f'<img src="{at}/small.jpg"' in browser.get("/").text
    assert f'<img src="{at}/small.jpg"' in browser.get("/results").text
    assert f'<img src="{at}/picture.jpg"' in browser.get(at).text
    for name, body in (("small", b"small"), ("picture", b"large")):
        answer = browser.get(f"{at}/{name}.jpg")
        assert answer.body == b"\xff\xd8 " + body
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_the_setting_no_picture_is_sent_though_one_lies_there(
    enter: Callable[..., Browser], drawn: tuple[Settings, dict[str, Any]], settings: Settings
) -> None:
    _, said = drawn
    browser, at = enter(settings), f"/results/{said['result_id']}"
    assert "small.jpg" not in browser.get("/").text
    assert "picture.jpg" not in browser.get(at).text
    assert browser.get(f"{at}/picture.jpg").status == 404


def test_pictures_are_found_by_results_of_the_ledger_alone(
    enter: Callable[..., Browser], drawn: tuple[Settings, dict[str, Any]], writer: Writer
) -> None:
    settings, said = drawn
    none = writer.publish(scored())["result_id"]
    browser, image_id = enter(settings), said["image_id"]
    for named in (none, image_id, f"..%2f{image_id}%2f{said['result_id']}", "..", "%2e%2e"):
        assert browser.get(f"/results/{named}/picture.jpg").status == 404, named
    assert browser.get(f"/pictures/{image_id}/{said['result_id']}.jpg").status == 404


def test_a_picture_that_comes_or_goes_is_news(
    settings: Settings, drawn: tuple[Settings, dict[str, Any]], writer: Writer
) -> None:
    _, said = drawn
    before = app._version(settings, None)
    assert app._version(settings, None) == before
    writer.ledger.pictures.sweep(())
    assert app._version(settings, None) != before
    assert said["image_id"] not in before


@pytest.mark.parametrize("id_", ["\0", ".."])
def test_whoever_asks_for_news_of_an_odd_image_is_told_of_no_file(
    settings: Settings, writer: Writer, id_: str
) -> None:
    writer.publish(scored())
    (settings.state.path / "pictures").mkdir()
    told = app._version(settings, Subject("image", id_))
    (settings.state.path / "new").touch()
    assert app._version(settings, Subject("image", id_)) == told


@pytest.mark.parametrize("path", ["/results", "/results?before=1", "/exams", "/exams?before=1"])
def test_every_list_renews_itself(enter: Callable[..., Browser], writer: Writer, path: str) -> None:
    writer.publish(scored())
    assert 'data-live="/events" data-ages' in enter().get(path).text


def test_a_verdict_and_a_later_result_of_an_image_stand_on_its_page(
    enter: Callable[..., Browser], writer: Writer
) -> None:
    said = writer.publish(scored())
    browser, at = enter(), f"/results/{said['result_id']}"
    shown = browser.get(at).text
    assert f'data-live="/events/image/{said["image_id"]}"' in shown
    assert "Verdict" not in shown
    assert "has now" not in shown
    writer.judge(Verdict(said["image_id"], "malignant", "biopsy", score_seen=True))
    later = writer.publish_again(said["image_id"], scored())
    shown = browser.get(at).text
    assert re.search(r'Verdict: <span class="chip malignant">malignant</span> by biopsy', shown)
    assert "whoever judged had seen the score" in shown
    assert f'<a href="/results/{later["result_id"]}">the result that this image has now' in shown
    assert "has now" not in browser.get(f"/results/{later['result_id']}").text


def test_each_caution_has_a_sentence() -> None:
    assert words.FLAGS.keys() == set(get_args(Flag))
    assert words.MEANINGS.keys() == set(get_args(Withheld))


def test_a_map_of_any_numbers_is_a_picture() -> None:
    data = png([[-1e9, -20.0, 1e9]])
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels[0, 2].tolist() == [214, 246, 255, 255]


def test_a_rejected_image_says_why_and_what_to_do(
    enter: Callable[..., Browser], writer: Writer
) -> None:
    said = writer.publish(rejected("truncated: the file is incomplete") | {"heatmap": None})
    browser = enter()
    shown = browser.get(f"/results/{said['result_id']}").text
    assert "the sender stopped half-way: send it again, as <code>NAME.part</code>" in shown
    assert browser.get(f"/results/{said['result_id']}/map.png").status == 404


def test_views_of_an_exam_stand_side_by_side(
    enter: Callable[..., Browser], settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    images = add_all(site)
    (exam,) = site.published
    view, made = exam["views"][0], {SMALL: b"small", PICTURE: b"large"}
    site.ledger.pictures.keep(view["image_id"], view["result_id"], made, lambda: True)
    changed = {"state": State(path=tmp_path / "site"), "page": Page(pictures=True)}
    browser = enter(settings.model_copy(update=changed))
    assert exam["exam_id"][:8] in browser.get("/exams").text
    shown = browser.get(f"/exams/{exam['exam_id']}").text
    assert re.findall(r"<h2>(\w+ \w+)</h2>", shown) == ["L CC", "L MLO", "R CC", "R MLO"]
    assert len(images) == len(re.findall("counts as", shown)) == 4
    assert re.findall(r'src="([^"]+)small.jpg"', shown) == [f"/results/{view['result_id']}/"]
    assert browser.get("/exams/none").status == 404
    site.ledger.close()


def test_performance_is_that_of_the_command(
    enter: Callable[..., Browser], settings: Settings, tmp_path: Path
) -> None:
    fill(tmp_path / "judged", women(200, 4))
    browser = enter(settings.model_copy(update={"state": State(path=tmp_path / "judged")}))
    shown = browser.get("/performance").text
    assert re.search(r"0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", shown)
    assert "verification bias: " in shown
    assert "Exams, by the breast" not in shown
    fill_exams(tmp_path / "judged", women(200, 5))
    shown = browser.get("/performance").text
    exams = shown.partition("Exams, by the breast whose score is higher")[2]
    assert re.search(r"0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", exams)
    assert "exams called malignant have a verdict" in exams
    assert "spread of 500 recent scores" in browser.get("/").text


def test_the_model_has_its_card_whoever_runs(enter: Callable[..., Browser]) -> None:
    shown = enter().get("/model").text
    assert "mammo-default" in shown
    assert "not a medical device" in shown


def test_the_model_is_worth_what_its_card_says_and_other_figures_say_of_what_they_are(
    enter: Callable[..., Browser],
) -> None:
    shown = re.sub(r"<[^>]+>", "", enter().get("/model").text)
    card = Path("docs/quality/model-card.md").read_text()
    auc = re.search(r"^\| AUC \| (0\.\d{3}) \((.*)\) \|$", card, re.MULTILINE)
    test = re.search(r"^\| test \| (\d+) \| \d+ \| (\d+) \|$", card, re.MULTILINE)
    assert auc
    assert test
    assert (
        f"all test mammograms: AUC {auc[1]} (95 % interval {auc[2]}), "
        f"{test[1]} images of {test[2]} patients" in shown
    )
    film = r"only those known to be film: AUC 0\.\d{3} \(.*\), (\d+) images of (\d+) patients"
    some = re.search(film, shown)
    assert some
    assert int(some[1]) < int(test[1])
    assert "Of model_int8.tflite, the bundle's default file." in shown


def test_a_bundle_fitted_to_a_site_has_no_test_of_its_own_and_one_that_was_not_measured_nothing(
    settings: Settings, enter: Callable[..., Browser], tmp_path: Path
) -> None:
    card = json.loads((shipped_bundle() / "bundle.json").read_bytes())
    card["scores"] = {}
    model = settings.model.model_copy(update={"bundle": tmp_path})
    browser = enter(settings.model_copy(update={"model": model}))
    (tmp_path / "bundle.json").write_text(json.dumps(card))
    shown = browser.get("/model").text
    assert "all test mammograms" not in shown
    assert "only those known to be digital" in shown
    for facts in card["models"].values():
        facts["measured"] = None
    (tmp_path / "bundle.json").write_text(json.dumps(card))
    assert "The bundle says nothing of it." in browser.get("/model").text


def test_the_threshold_is_the_one_that_the_last_score_was_decided_with(
    enter: Callable[..., Browser], settings: Settings, tmp_path: Path
) -> None:
    folder = shipped_bundle()
    data = (folder / "bundle.json").read_bytes()
    card = read_manifest(data)
    name = "model_int8.tflite"
    point = card.models[name].by_domain["digital"].operating_points["specificity-0.889"]
    bundle = hashlib.sha256(data).hexdigest()
    pairs = women(1, 4, bundle_id=bundle, model=card.files[name])
    fill(tmp_path / "judged", [replace(one, threshold=point.threshold) for one in pairs])
    browser = enter(settings.model_copy(update={"state": State(path=tmp_path / "judged")}))
    shown = browser.get("/model").text
    rows = re.findall(r'row">([\w.-]+) <strong>in use</strong></th><td[^>]*>(\w+)</td>', shown)
    assert rows == [("specificity-0.889", "digital")]
    assert f"<dd>{name}, int8</dd>" in shown
    assert f'x1="{320 * point.threshold:.1f}"' in browser.get("/").text


def test_a_spread_without_reference_says_so_and_one_of_few_scores_too() -> None:
    assert "no reference known" in charts.spread([500] * 20, [], None, None).words
    assert "too few" in charts.spread([1] * 20, [1] * 20, None, None).words


def test_means_are_of_the_days_shown_alone() -> None:
    days = charts.days_until(date(2026, 11, 29))
    assert (len(days), days[0], days[-1]) == (14, "2026-11-16", "2026-11-29")
    found = [
        DayOfScores("2026-11-15", 40, 0.9),
        DayOfScores("2026-11-16", 1, 0.25),
        DayOfScores("2026-11-29", 1, 0.5),
    ]
    drawn = charts.means(days, found)
    assert drawn.words == "mean score of each day, 2 images"
    assert [bar.words for bar in drawn.bars] == [
        "2026-11-16: mean score 0.250 of 1 images",
        "2026-11-29: mean score 0.500 of 1 images",
    ]


def test_the_list_of_exams_neither_scans_nor_sorts_them(writer: Writer) -> None:
    asked: list[str] = []
    db = sqlite3.connect(writer.folder / "state/ledger.sqlite3")
    db.set_trace_callback(asked.append)
    Worklist(db).exams(None, 51)
    db.set_trace_callback(None)
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    db.close()
    assert len(plan) == 2
    assert not [step for step in plan if "SCAN" in step or "B-TREE" in step]


def test_a_model_that_cannot_be_read_is_told(
    enter: Callable[..., Browser], settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    model = settings.model.model_copy(update={"bundle": folder})
    shown = enter(settings.model_copy(update={"model": model})).get("/model").text
    assert f"{folder / 'bundle.json'}: No such file or directory" in shown


def test_without_a_ledger_the_page_says_what_is_missing(
    enter: Callable[..., Browser], settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    answer = enter(settings.model_copy(update={"state": State(path=tmp_path / "empty")})).get("/")
    assert (answer.status, "there is no ledger yet" in answer.text) == (503, True)


def test_ten_thousand_results_are_shown_a_page_at_a_time(
    enter: Callable[..., Browser], writer: Writer
) -> None:
    writer.publish(scored(), b"the-first.dcm")
    _multiply(writer.folder / "state/ledger.sqlite3", 10_000)
    browser = enter()
    assert browser.get("/").text.count('<a class="name"') == 20
    first = browser.get("/results").text
    assert first.count('<a class="name"') == 50
    older = re.findall(r"/results\?before=\d+", first)
    assert older == ["/results?before=9952"]
    assert re.findall(r"copy-\d+", browser.get(older[0]).text)[0] == "copy-9950"
    assert "the-first.dcm" in browser.get("/results?before=20").text
    assert browser.get("/results?before=nonsense").text.count('<a class="name"') == 50


def _multiply(ledger: Path, number: int) -> None:
    """Copy the only result."""
    db = sqlite3.connect(ledger)
    db.execute("CREATE TEMP TABLE n (i INTEGER)")
    db.executemany("INSERT INTO n VALUES (?)", ((i,) for i in range(1, number + 1)))
    copies: dict[str, dict[str, str]] = {
        "images": {
            "image_id": "printf('%064x', i)",
            "result_id": "'r' || i",
            "name": "CAST('copy-' || i AS BLOB)",
        },
        "submissions": {
            "claim": "'c' || i",
            "id": "i + 1",
            "image_id": "printf('%064x', i)",
            "seq": "i + 1",
        },
        "outcomes": {
            "result_id": "'r' || i",
            "image_id": "printf('%064x', i)",
            "seq": "i + 1",
        },
        "results": {"seq": "i + 1", "result_id": "'r' || i", "submission": "i + 1"},
    }
    for table, changed in copies.items():
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(column, f"{table}.{column}") for column in columns)
        db.execute(f"INSERT INTO {table} SELECT {values} FROM n, {table}")  # noqa: S608 - ours
    db.commit()
    db.close()
