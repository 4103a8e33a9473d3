"""Preparing on a Dask cluster: a real scheduler and real worker processes, on this machine."""

import importlib.util
import math
import operator
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from train import cli
from train.data import dask as cluster
from train.data import datasets, prepare
from train.data.parallel import Engine, on_this_machine
from train.errors import DataError, TrainError
from train.recipes.seed import RECIPE
from train.run_folder import RunFolder

if importlib.util.find_spec("distributed") is None:
    pytest.skip(
        "distributed is missing: pip install 'mammo-edge[cluster]'", allow_module_level=True
    )


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with cluster.on_cluster(cluster.LOCAL) as found:
        yield found


def test_cluster_prepares_what_this_machine_alone_would(
    films: Path, tmp_path: Path, engine: Engine
) -> None:
    index = datasets.load(films)
    here = prepare.prepared(index, RECIPE.input, tmp_path / "here", on_this_machine)
    there = prepare.prepared(index, RECIPE.input, tmp_path / "there", engine)
    np.testing.assert_array_equal(here.images, there.images)
    assert here.geometry == there.geometry


def test_every_job_is_done_once_and_keeps_its_number(engine: Engine) -> None:
    jobs = [(number, 2) for number in range(100)]
    assert sorted(engine(operator.mul, jobs)) == [(number, 2 * number) for number in range(100)]


def test_what_a_job_raises_arrives(engine: Engine) -> None:
    with pytest.raises(ValueError, match=r"expected a nonnegative input|math domain error"):
        list(engine(math.sqrt, [(4,), (-1,)]))


def test_film_that_a_worker_cannot_see_is_named(
    films: Path, tmp_path: Path, engine: Engine
) -> None:
    index = datasets.load(films)
    next((films / "Benign").iterdir()).unlink()
    store = prepare._Cache.open(tmp_path, len(index.films), RECIPE.input)
    with pytest.raises(DataError, match=r"P_\d{5}_[LR]\.png: the image file cannot be read"):
        store.fill(index.films, RECIPE.input, engine)


def test_nobody_at_the_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(TrainError, match=rf"{address}: no Dask scheduler with a worker"),
            cluster.on_cluster(address),
        ):
            pass


def test_local_worker_that_does_not_come_up_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask  # noqa: PLC0415 - an extra

    monkeypatch.setattr(cluster, "PATIENCE_S", 2)
    (tmp_path / "asleep.py").write_text("import time\ntime.sleep(600)\n")
    with (
        dask.config.set({"distributed.worker.preload": [str(tmp_path / "asleep.py")]}),
        pytest.raises(TrainError, match="local: no Dask scheduler with a worker"),
        cluster.on_cluster(cluster.LOCAL),
    ):
        pass


def test_address_that_is_none_is_said() -> None:
    with (
        pytest.raises(TrainError, match="nowhere://x: no Dask scheduler with a worker"),
        cluster.on_cluster("nowhere://x"),
    ):
        pass


def test_command_prepares_on_a_cluster_of_its_own(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert (
        cli.main(["prepare", "seed", "--data", str(films), "--out", str(out), "--cluster", "local"])
        == 0
    )
    assert "workers with" in capsys.readouterr().err
    assert len(list(RunFolder(out).cache.glob("*/images.npy"))) == 1
