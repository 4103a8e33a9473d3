"""
The daemon with a Coral accelerator: loses it in the middle of an image, finishes on the processor,
and takes it back.
"""

import pytest

from edge.daemon.control.unix_socket import ask
from edge.system import coral
from tests.support.coral import StandIn, bundle, folder, library, stand_in
from tests.support.rig import Rig, film, until

__all__ = ["bundle", "folder", "library", "stand_in"]  # fixtures


@pytest.fixture
def on_coral(rig: Rig, stand_in: StandIn, folder: object) -> Rig:
    rig.configure(
        f'\n[model]\nbundle = "{folder}"\nbackend = "edgetpu"\nedgetpu_library '
        f'= "{stand_in.library}"\nedgetpu_retry_s = 0.2\n'
    )
    return rig.ready()


def backend(rig: Rig) -> str:
    return str(rig.status()["runtime"]["backend"])


def test_an_accelerator_that_ends_its_worker_costs_no_image_and_is_taken_again(
    on_coral: Rig, stand_in: StandIn
) -> None:
    rig = on_coral
    until(  # at once, unless its first worker took too long to start
        lambda: (backend(rig), rig.status()["state"]) == ("edgetpu", "ready"), "taken", rig.words
    )
    assert coral.busy(rig.folder / "coral.lock")
    ids = [rig.drop("1.png", film(1))]
    assert rig.result_of(ids[0])["runtime"] == {
        "backend": "edgetpu",
        "fallback": False,
        "threads": 1,
    }
    stand_in.does("abort")
    ids.append(rig.drop("2.png", film(2)))
    assert rig.result_of(ids[1])["runtime"]["fallback"]
    until(
        lambda: any(reason.startswith("coral: ") for reason in rig.status()["reasons"]),
        "the loss is told",
        rig.words,
    )
    assert rig.status()["state"] == "degraded"
    stand_in.does("its work")
    until(
        lambda: (backend(rig), rig.status()["state"]) == ("edgetpu", "ready"),
        "taken back",
        rig.words,
    )
    assert ask(rig.folder / "control.sock", "reload")["changed"] == []
    until(
        lambda: "another process has it" in rig.words() or backend(rig) == "edgetpu",
        "reloaded",
        rig.words,
    )
    until(
        lambda: (backend(rig), rig.status()["state"]) == ("edgetpu", "ready"),
        "taken by the reloaded model's workers",
        rig.words,
    )
    ids.append(rig.drop("3.png", film(3)))
    assert rig.result_of(ids[2])["runtime"]["backend"] == "edgetpu"
    rig.assert_nothing_lost(set(ids))
    counters = rig.status()["counters"]
    assert "worker_deaths" not in counters
    assert counters["accelerator_lost"] >= 1
