"""Training on several devices, here two logical CPUs, is training on one."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from deploy.demo.brokers import free_port
from tests.support.tools import ROOT
from tests.support.toy import keep_trained
from train.data.datasets import SIDES, Film
from train.errors import TrainError
from train.fitting import devices, fit
from train.fitting import resume as started
from train.run_folder import RunFolder

# Logical devices can only be made before TensorFlow starts, so in a process of their own.
TRAIN_ON_TWO = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
from tests.support.toy import keep_trained
from train.fitting import devices

out = Path(sys.argv[1])
for dropout in (0.0, 0.3):
    strategy = devices.strategy(2, batch_size=4)
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        keep_trained(out / f"{dropout}", out / f"{dropout}.npz", dropout)
"""


@pytest.fixture(scope="module")
def by_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and scores of a training on one device."""
    root = tmp_path_factory.mktemp("one")
    with devices.strategy(1, batch_size=4).scope():
        keep_trained(root, root / "weights.npz")
    return root / "weights.npz"


def test_two_devices_give_what_one_gives(by_one: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_ON_TWO, tmp_path],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    one, two, with_dropout = map(np.load, (by_one, tmp_path / "0.0.npz", tmp_path / "0.3.npz"))
    for name in one.files:
        assert two[name] == pytest.approx(one[name], abs=1e-5), name
    assert np.all(np.isfinite(with_dropout["loss"]))
    assert np.any(with_dropout["loss"] != two["loss"])


def test_one_device_needs_no_strategy() -> None:
    assert devices.strategy(None, batch_size=3) is tf.distribute.get_strategy()


def test_more_devices_than_there_are_is_refused() -> None:
    with pytest.raises(TrainError, match=r"--devices 99: TensorFlow sees 1 \(/device:CPU:0\)"):
        devices.strategy(99, batch_size=99)


def test_batch_that_cannot_be_shared_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tf.config,
        "list_logical_devices",
        lambda kind: [tf.config.LogicalDevice(f"/device:{kind}:{n}", kind) for n in range(3)],
    )
    with pytest.raises(TrainError, match="16 images cannot be shared out evenly over 3 devices"):
        devices.strategy(None, batch_size=16)


TRAIN_ACROSS_MACHINES = """
import sys
from pathlib import Path
from tests.support.toy import keep_trained
from train.fitting import devices

strategy = devices.strategy(None, batch_size=4)
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    keep_trained(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_two_machines_end_with_equal_weights_those_of_one(by_one: Path, tmp_path: Path) -> None:
    workers = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                TRAIN_ACROSS_MACHINES,
                tmp_path / "run",
                tmp_path / f"{index}.npz",
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "TF_CONFIG": json.dumps(
                    {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
                ),
            },
        )
        for index in range(2)
    ]
    try:
        assert [process.wait(timeout=540) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()  # where one fails, the other waits for it
    one, two, expected = map(np.load, (tmp_path / "0.npz", tmp_path / "1.npz", by_one))
    for name in one.files:
        assert np.array_equal(one[name], two[name]), name
        if name.startswith("arr_"):
            assert one[name] == pytest.approx(expected[name], abs=1e-5), name


@pytest.mark.parametrize(("task", "keeps"), [("chief", True), ("worker", False)])
def test_chief_and_worker_are_two_machines_and_the_chief_keeps_the_files(
    monkeypatch: pytest.MonkeyPatch, task: str, *, keeps: bool
) -> None:
    cluster = {"chief": ["a:1"], "worker": ["b:1"]}
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": task, "index": 0}})
    )
    assert devices.machines() == 2
    assert devices.keeps_files() is keeps


def test_restart_forgets_before_the_other_machines_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second machine waits, and meanwhile the first one removes the other training."""
    run = RunFolder(tmp_path)
    started.begin(run, {"data": "ab"})
    run.stage().root.mkdir()
    run.stage().state.touch()
    monkeypatch.setattr(devices, "keeps_files", lambda: False)
    monkeypatch.setattr(devices, "wait_for_all", lambda: started.forget(run))
    fit._begin(run, {"data": "cd"}, restart=True)
    assert not run.kept


@pytest.mark.parametrize("text", ["[]", '{"cluster": []}'])
def test_cluster_that_is_no_object_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(TrainError, match="expected an object with `cluster` and `task`"):
        devices.machines()


def test_cluster_that_is_not_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(TrainError, match="TF_CONFIG is not JSON"):
        devices.machines()


def test_written_split_keeps_names_with_commas(tmp_path: Path) -> None:
    films = tuple(
        Film(path=tmp_path, name=f"a, {side}.png", label="benign", patient="p,1") for side in SIDES
    )
    fit.write_split(
        tmp_path / "split.csv", dict(zip(SIDES, ((film,) for film in films), strict=True))
    )
    with (tmp_path / "split.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [film.name for film in films]
