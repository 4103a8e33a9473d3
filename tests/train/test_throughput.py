"""`mammo-train bench`: that it measures the three things, and says when training would wait. Not how fast they are."""

import json
import time
from pathlib import Path

import pytest

from train import cli, throughput
from train.run_folder import RunFolder
from train.throughput import Throughput


def test_bench_gives_images_a_second_of_all_three(
    films: Path, tiny_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path / "run")
    assert cli.main(["bench", str(tiny_recipe), "--data", str(films), "--out", str(run.root), "--batches", "2"]) == 0
    found = json.loads((run.root / "throughput.json").read_text())
    assert sorted(found) == ["pipeline", "prepare_one_core", "step"]
    assert all(value > 0 for value in found.values())
    assert f"input pipeline {found['pipeline']}, training step {found['step']} images/s" in capsys.readouterr().err


def test_slower_pipeline_than_step_means_waiting() -> None:
    assert Throughput(prepare_one_core=1, pipeline=9, step=10).waits
    assert not Throughput(prepare_one_core=1, pipeline=11, step=10).waits


def test_rate_counts_what_is_drawn_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, clock = iter(range(100)), iter((0.0, 0.5))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert throughput._rate(drawn, images=4, count=10) == 80
    assert next(drawn) == throughput.WARM_UP + 10
