"""`results --exams` lists revisions of exams, as a table or as they were published."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli import main
from tests.support.exam_ledger import Site, add_all
from tests.support.rig import PROGRAM
from tests.support.terminal import CTRL_C, Terminal


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "edge.toml").write_text(f'[state]\npath = "{tmp_path}/state"\n')
    made = Site(tmp_path / "state")
    yield made
    made.ledger.close()


def listed(site: Site, capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    config = str(site.folder.parent / "edge.toml")
    assert main.main(["results", "--exams", *options, "--config", config]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_table_has_a_row_for_each_revision_and_says_why_one_was_taken_back(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    add_all(site)
    site.add("L", "CC", 0.9, patient="2" * 64)
    head, first, *second = listed(site, capsys)
    assert head.split()[:4] == ["seq", "completed", "exam", "revision"]
    exam_id = site.published[0]["exam_id"][:8]
    assert [first.split()[place] for place in (0, 2, 3, 4, 6)] == ["1", exam_id, "1", "benign", "L"]
    assert first.endswith("4 of 4")
    assert second[0].split()[2:5] == [exam_id, "2", "rejected"]
    assert "several patients: its images" in second[0]
    assert max(map(len, [head, first, *second])) <= 100


def test_json_is_what_was_published_and_since_counts_by_the_exams_own_numbers(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    add_all(site)
    site.add("L", "CC", 0.9)
    assert list(map(json.loads, listed(site, capsys, "--json"))) == site.published
    (last,) = listed(site, capsys, "--json", "--since", "1")
    assert json.loads(last) == site.published[1]


def test_follow_goes_on_with_each_revision_by_the_exams_own_numbers(site: Site) -> None:
    add_all(site)
    config = site.folder.parent / "edge.toml"
    with Terminal(PROGRAM, "results", "--exams", "--follow", "--config", config) as terminal:
        terminal.until("4 of 4")
        site.add("L", "CC", 0.9, patient="2" * 64)
        terminal.until("several patients")
        terminal.press(CTRL_C)
        assert terminal.ended() == 0
    assert terminal.said.count(site.published[0]["exam_id"][:8]) == 2
