"""The command line a stranger meets, and the pages it writes."""

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.models.bundle import Bundle
from tests.support.tiny import Tiny
from train import cli, reporting
from train.data.datasets import Film
from train.evaluation import evaluate, robustness
from train.fitting import finished_run
from train.reporting import report
from train.run_folder import RunFolder
from train.stats import metrics

COMMANDS = ("index", "prepare", "bench", "fit", "evaluate", "export", "calibrate", "report")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_explains_every_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    text = capsys.readouterr().out
    assert len(text.splitlines()) > 6
    assert not re.search(r"^  (--?\w[\w-]*)( [A-Z]+)?$\n^  -", text, re.MULTILINE), (
        "an option without a help text"
    )


def test_help_needs_no_tensorflow() -> None:
    code = (
        "import sys, train.cli; train.cli.parser(); assert not {'tensorflow', "
        "'keras', 'cv2', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_data_is_one_line_and_exit_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        cli.main(["prepare", "seed", "--data", str(tmp_path / "no.csv"), "--out", str(tmp_path)])
        == 1
    )
    error = capsys.readouterr().err
    assert error.startswith("mammo-train: ")
    assert error.count("\n") == 1


def test_missing_extra_is_said_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # An earlier test may have imported it, and the package then has it as an attribute.
    monkeypatch.delattr(reporting, "report", raising=False)
    monkeypatch.setitem(sys.modules, "train.reporting.report", None)
    assert cli.main(["report", "run"]) == 1
    assert "pip install 'mammo-edge[train]'" in capsys.readouterr().err


def test_folder_that_cannot_be_written_is_one_line(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").touch()
    assert cli.main(["prepare", "seed", "--data", str(films), "--out", str(tmp_path / "run")]) == 1
    assert re.fullmatch(r"mammo-train: .*/run/cache.*: Not a directory\n", capsys.readouterr().err)


def test_no_epochs_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["fit", "seed", "--data", "x", "--out", "y", "--epochs", "0"])
    assert "not positive" in capsys.readouterr().err


def test_prepare_alone_fills_the_cache_that_fit_takes(
    films: Path, tiny_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", str(tiny_recipe), "--data", str(films), "--out", str(tmp_path / "run")]
    assert cli.main(command) == 0
    assert cli.main(command) == 0
    assert "all 20 images are prepared" in capsys.readouterr().err


def test_evaluation_has_numbers_and_pictures(tiny: Tiny) -> None:
    numbers = json.loads(tiny.run.metrics.read_text())
    for name in (
        "auc",
        "auc_delong_95",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "brier",
        "ece",
        "confusion",
        "at_screening_prevalence",
    ):
        assert name in numbers["test"]
    assert {
        "operating_points",
        "decision",
        "coverage_risk",
        "subgroups",
        "shortcuts",
        "permutation",
        "reliability",
        "domains",
        "normal",
        "verdict",
    } <= set(numbers)
    assert numbers["invariance"]["films"] == 2
    for name in (
        "roc",
        "precision-recall",
        "reliability",
        "scores",
        "confusion",
        "coverage-risk",
        "training",
        "gallery-missed",
    ):
        assert (tiny.run.evaluation / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_scores_of_every_test_film_give_the_numbers_again(tiny: Tiny) -> None:
    numbers = json.loads(tiny.run.metrics.read_text())
    with (tiny.run.evaluation / "scores.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    labels = np.array([line["label"] == "malignant" for line in lines], dtype=np.float32)
    scores = np.array([float(line["calibrated"]) for line in lines])
    assert len(lines) == numbers["test"]["images"]
    assert metrics.auc(labels, scores) == pytest.approx(numbers["test"]["auc"])
    decided = sum(line["decision"] in {"benign", "malignant"} for line in lines)
    assert decided == numbers["decision"]["decided"]


def test_report_is_one_page_that_needs_nothing_beside_it(tiny: Tiny) -> None:
    page = tiny.run.report.read_text()
    assert page.count('src="data:image/png;base64,') == len(list(tiny.run.evaluation.glob("*.png")))
    assert not re.search(r'(src|href)="(?!data:)', page)
    for text in (
        "not a medical device",
        "Drawn from the fixtures.",
        "gamma 0.7",
        "labels shuffled",
        "screening prevalence",
    ):
        assert text in page


def test_report_says_in_its_head_what_was_measured_when_and_if_it_is_better_than_chance(
    tiny: Tiny,
) -> None:
    head = tiny.run.report.read_text().partition("<pre>")[0]
    measured = json.loads(tiny.run.metrics.read_text())
    date.fromisoformat(measured["measured_on"])
    on = f"on {measured['test']['images']} mammograms of {measured['test']['patients']} patients"
    assert f"Measured on {measured['measured_on']}: AUC {measured['test']['auc']:.3f}" in head
    assert on in head
    run = tiny.run
    at_chance = {**measured["test"]["intervals_95"], "auc": [0.4, 0.6]}
    doubted = {**measured, "test": {**measured["test"], "intervals_95": at_chance}}
    notes, history, exported = (
        json.loads(path.read_text()) for path in (run.notes, run.history, run.exported)
    )
    page = report.page(notes, history, doubted, exported, run.evaluation)
    box = page.partition("<pre>")[0].partition("<div class=verdict>")[2]
    assert "On the test patients this model is not shown to be better than chance" in box


def test_evaluation_of_another_runs_bundle_is_refused(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(str(files("edge"))) / "models" / "default"
    assert cli.main(["evaluate", str(tiny.run.root), "--bundle", str(other)]) == 1
    assert "expected a bundle of this run" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model_sha256", "index_fingerprint", "seed"])
def test_bundle_of_another_network_index_or_seed_is_not_evaluated(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shutil.copytree(tiny.run.bundle, tmp_path / "bundle")
    manifest = tmp_path / "bundle" / "bundle.json"
    values = json.loads(manifest.read_text())
    values["training"][name] = 77
    manifest.write_text(json.dumps(values))
    assert cli.main(["evaluate", str(tiny.run.root), "--bundle", str(tmp_path / "bundle")]) == 1
    assert re.search(
        rf"expected a bundle of this run, .* found {name} 77, expected .*; run `mammo-train export",
        capsys.readouterr().err,
    )


def test_report_on_one_bundle_with_the_numbers_of_another_is_refused(
    tmp_path: Path, tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path)
    run.evaluation.mkdir()
    for old, new in ((tiny.run.notes, run.notes), (tiny.run.metrics, run.metrics)):
        new.write_bytes(old.read_bytes())
    run.exported.write_text(
        json.dumps({**json.loads(tiny.run.exported.read_text()), "bundle_id": "b" * 64})
    )
    assert cli.main(["report", str(tmp_path)]) == 1
    assert re.search(
        r"is of the bundle \w{12}, the last export wrote bbbbbbbbbbbb; run `mammo-train evaluate",
        capsys.readouterr().err,
    )


def test_report_on_a_training_on_pieces_alone_says_that_there_is_none(
    tmp_path: Path, tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = json.loads(tiny.run.notes.read_text())
    RunFolder(tmp_path).notes.write_text(
        json.dumps({**notes, "recipe": {**notes["recipe"], "phases": []}})
    )
    assert cli.main(["report", str(tmp_path)]) == 1
    assert (
        "recipe tiny scores pieces about lesions and has no bundle to report on; its numbers"
        in capsys.readouterr().err
    )


def test_validation_film_that_was_refused_is_not_scored_in_variants(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The invariance is measured on films that could be prepared."""
    seen: list[tuple[Film, ...]] = []

    def watched(
        _bundle: Bundle, films: tuple[Film, ...], _count: int, _seed: int
    ) -> dict[str, Any]:
        seen.append(films)
        return {}

    monkeypatch.setattr(robustness, "measure", watched)
    real = finished_run.reopen(tiny.run, None)
    unreadable = replace(
        real.sides["validation"][0], name="unreadable.png", path=tmp_path / "unreadable.png"
    )
    torn = replace(
        real, sides={**real.sides, "validation": (*real.sides["validation"], unreadable)}
    )
    monkeypatch.setattr(evaluate, "reopen", lambda *_: torn)
    monkeypatch.setattr(evaluate, "write_json", lambda *_: None)
    evaluate.evaluate(tiny.copy_run(tmp_path), evaluate.Request())
    assert seen[0] == real.sides["validation"]


def test_evaluation_before_export_names_the_command(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(tiny.run.root), "--bundle", str(tmp_path / "none")]) == 1
    assert "run `mammo-train export" in capsys.readouterr().err


def test_model_card_has_the_numbers_of_the_run(tiny: Tiny) -> None:
    text = (tiny.run.root / "card.md").read_text()
    test = json.loads(tiny.run.metrics.read_text())["test"]
    # In bold if it reaches chance, as that of a network of two epochs may.
    assert f"| AUC | {test['auc']:.3f} (" in text.replace("**", "")
    assert "Drawn from the fixtures." in text
    sentences = " ".join(text.split())
    assert (
        "The data do not say what 24 of the 24 mammograms show: "
        "normal ones may be among the benign." in sentences
    )
    assert "easier than the official test set" in sentences
    assert "{" not in text


def test_model_card_shows_the_pictures_that_lie_beside_it(tiny: Tiny) -> None:
    text = (tiny.run.root / "card.md").read_text()
    shown = re.findall(r"^!\[[^]]+\]\((card/[a-z-]+\.png)\)$", text, re.MULTILINE)
    drawn = {f"card/{path.name}" for path in tiny.run.evaluation.glob("*.png")}
    assert set(shown) == {name for name in drawn if "gallery" not in name} != set()
    for name in shown:
        assert (tiny.run.root / name).read_bytes().startswith(b"\x89PNG")


def test_report_before_evaluate_names_the_command(
    tmp_path: Path, tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tiny.run.notes, tiny.run.history, tiny.run.exported):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert cli.main(["report", str(tmp_path)]) == 1
    assert "run `mammo-train evaluate RUN` first" in capsys.readouterr().err
