"""`performance` as a person reads it, and as a program does."""

import json
import re
from pathlib import Path

import pytest

from edge.cli import main
from tests.support.pairs import BUNDLE, fill, fill_exams, women


def ask(folder: Path, number: int, *words: str) -> int:
    fill(folder / "state", women(number, 4))
    config = folder / "edge.toml"
    config.write_text(f'[state]\npath = "{folder}/state"\n[inbox]\npath = "{folder}/inbox"\n')
    return main.main(["performance", *words, "--config", str(config)])


def test_a_table_has_the_groups_and_three_sentences_below(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path, 200, "--by", "maker") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"bundle {BUNDLE[:16]}, 95 % intervals over women"
    rows, _, sentences = " ".join(lines[1:]).partition("verification bias: ")
    assert re.findall(r"maker|all|ge|hologic", rows) == ["maker", "all", "ge", "hologic"]
    assert re.findall(r"blinding: |reference: ", sentences) == ["blinding: ", "reference: "]


def test_too_few_are_counted_and_nothing_else_is_said_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path, 10) == 0
    said = capsys.readouterr().out
    assert "16 of 7 women  14 of 5 women  too few" in said
    assert "too few: expected at least 30 images of 10 women of each truth" in said
    assert "0." not in said


def test_a_program_gets_the_same_and_why_there_is_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path, 10, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["performance"] is None
    assert found["why_not"].startswith("16 malignant images of 7 women")


def test_only_images_scored_since_a_time_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path, 10, "--json", "--since", "2100-01-01") == 0
    assert json.loads(capsys.readouterr().out)["malignant"] == {"images": 0, "women": 0}
    with pytest.raises(SystemExit, match="2"):
        ask(tmp_path / "again", 1, "--since", "17")


def test_exams_stand_apart_with_their_own_least_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exams = women(200, 5)
    fill_exams(tmp_path / "state", [*exams[:100], *women(3, 6, bundle_id="c" * 64)])
    assert ask(tmp_path, 10, "--by", "maker") == 0
    images, _, apart = capsys.readouterr().out.partition("\nexams, by the breast whose score")
    assert "too few: expected at least 30 images" in images
    names = re.findall(r"^(\w+) +\d+ of \d+", apart, re.MULTILINE)
    assert names == ["all", "ge", "hologic"]
    assert "exams called malignant have a verdict" in apart
    assert "verdicts on scores of other bundles" in apart
    assert ask(tmp_path / "again", 10, "--json") == 0
    found = json.loads(capsys.readouterr().out)["exams"]
    assert (found["malignant"], found["performance"]) == ({"exams": 0, "women": 0}, None)
    assert found["why_not"].startswith("0 malignant exams of 0 women and 0 benign exams of 0 women")
