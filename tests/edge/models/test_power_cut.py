"""
SIGKILL at every file operation of fetching, installing and activating a model: a working one serves
at the next start.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from edge.daemon.rollout.first_model import first_serving
from edge.health import Health
from edge.models.active import SHIPPED, Active
from edge.models.bundle import Bundle, verify
from tests.support.bundles import tiny
from tests.support.keys import key_pair
from tests.support.killed import store_at, work
from tests.support.pools import serving_from
from tests.support.tools import ROOT


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder, and the states that the kills left, the earliest first."""
    folder = tmp_path_factory.mktemp("killed")
    tiny(folder / "shipped", "1.0")
    tiny(folder / "bundle", "2.0", key_pair(folder, "clinic"))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.killed", folder],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=600,
    )
    return folder, [f"state-{place}" for place in range(1, int(ended.stdout) + 1)]


def test_after_each_kill_a_whole_model_serves_and_nothing_half_installed_is_listed(
    killed: tuple[Path, list[str]],
) -> None:
    folder, states = killed
    new = verify(folder / "bundle").bundle_id
    seen = set()
    for name in states:
        store, health = store_at(folder, name), Health()
        first = first_serving(serving_from, None, store, health, serving_from)
        assert first.bundle.manifest.version in {"1.0", "2.0"}
        assert health.reasons == []  # what serves is what was chosen: nothing had to be given up
        assert set(store.bundles()) <= {SHIPPED, new}
        assert all(isinstance(bundle, Bundle) for bundle in store.bundles().values())
        seen.add((store.active(), len(store.bundles())))
    on_trial = Active(new, SHIPPED, trial=True)
    assert seen == {
        (Active(), 1),
        (Active(), 2),
        (on_trial, 2),
        (Active(new, SHIPPED), 2),
    }  # every stage of it, and no other
    assert len(states) > 40


def test_after_a_kill_the_next_try_comes_through_and_leaves_nothing_over(
    killed: tuple[Path, list[str]],
) -> None:
    folder, states = killed
    for name in states[::3]:  # it takes as long as an installation
        work(folder, name)
        store = store_at(folder, name)
        assert store.active() == Active(verify(folder / "bundle").bundle_id, SHIPPED)
        assert [path.name for path in store.root.glob(".*")] == []
