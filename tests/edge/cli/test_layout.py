"""Tables as a terminal shows them: 100 columns at most, and nothing cut off."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli import bench, check, classify, main, models
from edge.cli.bench import STEPS, Measured, Spread
from edge.cli.doctor import checks
from edge.cli.doctor.finding import failed
from edge.cli.layout import COLUMNS, Layout, columns_of, fitted, wrapped
from edge.storage.audit import Audit, Caller
from tests.support.pairs import fill, women
from tests.support.results import Writer, rejected, scored

LONG = "it says something very long about /srv/mammo-edge/inbox/a-folder/another-one.dcm and "
SENTENCE = LONG * 3
NAME = "n" * 130
"""Longer than a line, and with no place to break it."""

Site = tuple[pytest.MonkeyPatch, Path]


@given(
    st.lists(st.text(" /ab.東e\u0301", max_size=200), min_size=1, max_size=12),
    st.integers(min_value=1, max_value=12),
)
def test_whatever_is_in_a_table_it_fits_and_is_all_there(cells: list[str], shorter: int) -> None:
    rows = [["head"] * len(cells), cells, cells[:shorter]]
    layout = fitted(rows)
    for row in rows:
        lines = list(layout.lines(row))
        assert max(map(columns_of, lines)) <= COLUMNS
        assert sorted("".join(lines).replace(" ", "")) == sorted("".join(row).replace(" ", ""))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("short", ["short"]),
        ("", [""]),
        ("two words and more", ["two words", "and more"]),
        ("/srv/inbox/film.dcm", ["/srv/", "inbox/", "film.dcm"]),
        ("0123456789abc", ["0123456789", "abc"]),
        ("東京東京東京.dcm", ["東京東京東", "京.dcm"]),
    ],
)
def test_text_is_broken_after_a_word_or_a_folder(text: str, pieces: list[str]) -> None:
    assert wrapped(text, 10) == pieces


def test_wide_letters_and_accents_of_their_own_leave_columns_straight() -> None:
    layout = fitted([("file", "outcome"), ("東京", "benign"), ("cafe\u0301", "benign")])
    assert list(layout.lines(("東京", "benign"))) == ["東京  benign"]
    assert list(layout.lines(("cafe\u0301", "benign"))) == ["cafe\u0301  benign"]


def test_a_colour_takes_no_room() -> None:
    layout = Layout((9, 5), {"malignant": "\x1b[31m"})
    assert list(layout.lines(("malignant", "x"))) == ["\x1b[31mmalignant\x1b[0m  x"]
    assert list(layout.lines(("benign", "x"))) == ["benign     x"]


def configuration(folder: Path) -> list[str]:
    return ["--config", str(folder / "edge.toml")]


def results(site: Site) -> list[str]:
    writer = Writer(site[1])
    withheld = {"threshold": 0.123456, "withheld": "domain-unmeasured"}
    for message in (
        scored(decision=withheld, domain={"kind": "unknown"}, outcome="indeterminate"),
        scored(timing_ms={"total": 86_399_000.0}, domain={"kind": "digital"}),
        rejected(SENTENCE),
    ):
        writer.publish(message)
    writer.ledger.close()
    return ["results", *configuration(site[1])]


def classified(site: Site) -> list[str]:
    for where in ("files_of", "classify"):
        site[0].setattr(classify, where, lambda *_: [])
    found = [scored(image_id="i" * 64), rejected(SENTENCE)]
    for message in found:
        message["source"]["path"] = f"/srv/{NAME}/film.dcm"
    site[0].setattr(classify, "classify", lambda *_: [(message, False) for message in found])
    return ["classify", "x", "--explain", "y"]


def checked(site: Site) -> list[str]:
    found = [(NAME, True, SENTENCE), ("inbox.path", False, NAME)]
    site[0].setattr(check, "findings", lambda *_: found)
    Writer(site[1]).ledger.close()
    return ["check", *configuration(site[1])]


def examined(site: Site) -> list[str]:
    found = [failed("broker", SENTENCE), failed(NAME, NAME)]
    site[0].setattr(checks, "examine", lambda *_, **__: found)
    Writer(site[1]).ledger.close()
    return ["doctor", *configuration(site[1])]


def benched(site: Site) -> list[str]:
    steps = {step: Spread(12345.6, 12345.6, 99999.9) for step in STEPS}
    found = [
        Measured(Path(f"/srv/{NAME}"), None, "dicom", 123.4, steps, 0.001),
        Measured(Path("/srv/x"), SENTENCE, "", 0.0, {}, 0.0),
    ]
    site[0].setattr(bench, "bench", lambda *_: ({"machine": "x"}, iter(found)))
    return ["bench"]


def listed(site: Site) -> list[str]:
    row = {"bundle": "b" * 64, "name": NAME, "version": "2.1.0", "signed_by": NAME, "serves": None}
    site[0].setattr(models, "listed", lambda _: [row, row | {"serves": SENTENCE}])
    Writer(site[1]).ledger.close()
    return ["model", "list", *configuration(site[1])]


def activated(site: Site) -> list[str]:
    worth = {"name": NAME, "version": "2.1.0", "measured": [], "bytes": 10**9, "median_ms": 1e6}
    report = {"bundle": "b" * 64, "name": NAME, "before": worth, "after": worth}
    site[0].setattr(models, "activate", lambda *_, **__: report)
    Writer(site[1]).ledger.close()
    return ["model", "activate", "x", *configuration(site[1])]


def audited(site: Site) -> list[str]:
    Writer(site[1]).ledger.close()
    caller = Caller(topic=f"mammo/v1/{NAME}")
    Audit(site[1] / "state").add("model-activate", caller, bundle="b" * 64, why=SENTENCE)
    return ["audit", "show", *configuration(site[1])]


def measured(site: Site) -> list[str]:
    Writer(site[1]).ledger.close()
    fill(site[1] / "state", women(200, 4))
    return ["performance", "--by", "device", *configuration(site[1])]


COMMANDS: Sequence[Callable[[Site], list[str]]] = (
    *(results, classified, checked, examined, benched, listed, activated, audited, measured),
)


@pytest.mark.parametrize("prepared", COMMANDS, ids=lambda one: one.__name__)
def test_every_table_fits_100_columns(
    prepared: Callable[[Site], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main.main(prepared((monkeypatch, tmp_path)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= COLUMNS
