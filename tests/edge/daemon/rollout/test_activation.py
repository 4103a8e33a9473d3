"""Which model serves: at start, after a change, and when a new one proves bad in use."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.contract.render import Sender, readdress
from edge.daemon.pipeline.examination import Examination, Parts
from edge.daemon.pipeline.recorder import Recorder
from edge.daemon.rollout.activation import Activation
from edge.daemon.rollout.first_model import first_serving
from edge.daemon.wiring.handlers import handlers
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Died, Verdict
from edge.domain import Rejection
from edge.errors import ConfigError, ModelError, Reason
from edge.health import Health, Phase
from edge.models.active import SHIPPED, Active, shipped_bundle
from edge.models.comparison import worth
from edge.models.signature import sign
from edge.models.store import ModelStore
from edge.storage.ledger import open_ledger
from edge.storage.spool import Spool
from tests.support.bundles import proved
from tests.support.pipeline import AtOnce, parts_of
from tests.support.pools import serving_from


@pytest.fixture
def health() -> Health:
    made = Health()
    made.enter(Phase.READY)
    return made


def test_the_one_before_serves_when_what_was_activated_is_no_longer_usable(
    store: ModelStore, made: Callable[[str], Path], health: Health
) -> None:
    two, three = (store.install(made(version), proved).bundle_id for version in ("2.0", "3.0"))
    store.activate(two)
    store.activate(three)
    (store.folder(three) / "model.tflite").write_bytes(b"bit rot")
    assert (
        first_serving(serving_from, None, store, health, serving_from).bundle.manifest.version
        == "2.0"
    )
    assert health.reasons[0].startswith(
        "model: what was activated is not usable, another one serves: "
    )
    (store.folder(two) / "bundle.json").unlink()
    assert (
        first_serving(serving_from, None, store, health, serving_from).bundle.folder
        == shipped_bundle()
    )


def test_what_the_configuration_names_serves_or_nothing(
    store: ModelStore, health: Health, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="not a model bundle"):
        first_serving(serving_from, tmp_path / "none", store, health, serving_from)


@pytest.fixture
def parts(health: Health, tmp_path: Path) -> Iterator[Parts]:
    (tmp_path / "state").mkdir(exist_ok=True)
    spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    with open_ledger(tmp_path / "state", [], readdress) as ledger:
        first = serving_from(shipped_bundle())
        yield parts_of(ledger, spool, first, health=health, tasks=AtOnce(), sender=Sender())


def activation_of(
    store: ModelStore,
    parts: Parts,
    prove: Callable[[Path], Serving] = serving_from,
    trial_images: int = 5,
) -> Activation:
    return Activation(store, parts, Recorder(parts, lambda: None).reject, prove, trial_images)


@pytest.fixture
def bench(
    store: ModelStore, made: Callable[[str], Path], parts: Parts
) -> tuple[Activation, Parts, str]:
    """A daemon that serves the shipped model, with version 2.0 installed."""
    bundle_id = store.install(made("2.0"), proved).bundle_id
    return activation_of(store, parts), parts, bundle_id


def finish(activation: Activation, parts: Parts, image_id: str, verdict: Verdict) -> None:
    """What the loop says after each image."""

    class Image:
        pass

    image: Any = Image()
    image.image_id = image_id
    activation.observe(Examination(image, parts.model.serving, 0.0, 1.0, verdict))


def version(parts: Parts) -> str:
    return parts.model.serving.bundle.manifest.version


def joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the thread that rolls back run where it is started."""
    monkeypatch.setattr(
        "edge.daemon.rollout.activation.threading.Thread.start", lambda thread: thread.run()
    )


def test_workers_that_die_of_two_images_bring_the_former_model_back(
    bench: tuple[Activation, Parts, str],
    store: ModelStore,
    health: Health,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined(monkeypatch)
    activation, parts, bundle_id = bench
    before = worth(parts.model.serving.bundle.manifest)
    assert activation.activate("2.0") == {
        "bundle": bundle_id,
        "name": "mammo-default",
        "version": "2.0",
        "previous": SHIPPED,
        "before": before,
        "after": before | {"version": "2.0"},
    }
    finish(activation, parts, "a", Died("x"))
    finish(activation, parts, "a", Died("x"))  # the same image: it may be the image's own fault
    assert version(parts) == "2.0"
    finish(activation, parts, "b", Died("x"))
    assert version(parts) != "2.0"
    assert store.active().current == SHIPPED
    assert "2 of its first images got no score (x); version " in health.reasons[0]
    assert health.counters["model_rollbacks"] == 1


def test_after_the_trial_a_death_is_the_image_s_own_affair(
    bench: tuple[Activation, Parts, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(monkeypatch)
    activation, parts, _ = bench
    activation.activate("2.0")
    for number in range(5):
        finish(activation, parts, str(number), Rejection(Reason.EMPTY, ""))
    finish(activation, parts, "a", Died("x"))
    finish(activation, parts, "b", Died("x"))
    assert version(parts) == "2.0"


def test_a_model_that_does_not_prove_itself_leaves_the_old_one_in_place(
    store: ModelStore, made: Callable[[str], Path], parts: Parts
) -> None:
    def refuse(_folder: Path) -> Serving:
        msg = "known answer 1.png: raw is 0.1"
        raise ModelError(msg)

    before = parts.model.serving
    store.install(made("2.0"), proved)
    activation = activation_of(store, parts, refuse)
    with pytest.raises(ModelError, match="known answer"):
        activation.activate("2.0")
    assert parts.model.serving is before
    assert store.active().current == SHIPPED


def at_chance(folder: Path) -> Path:
    """Have a bundle say that it is no better than chance."""
    fields = json.loads((folder / "bundle.json").read_text())
    for measured in fields["models"][fields["default_model"]]["measured"].values():
        measured["interval_95"] = [0.45, 0.55]
    (folder / "bundle.json").write_text(json.dumps(fields))
    sign(folder, folder.parent / "clinic.pem")
    return folder


@pytest.mark.parametrize("force", [False, "yes"])
def test_a_model_at_chance_is_refused_by_every_way_in_unless_it_is_forced(
    store: ModelStore, made: Callable[[str], Path], parts: Parts, force: object
) -> None:
    before = parts.model.serving
    store.install(at_chance(made("2.0")), proved)
    activation = activation_of(store, parts, serving_from)
    # Socket and broker share these handlers.
    unused: Any = SimpleNamespace(replay=None, retry=None, install=None)
    activate = handlers(unused, unused, unused, activation, unused)["model-activate"]
    with pytest.raises(ConfigError, match=r"no better than chance|force: found 'yes'"):
        activate({"bundle": "2.0", "force": force})
    assert parts.model.serving is before
    assert store.active().current == SHIPPED
    assert activate({"bundle": "2.0", "force": True})["version"] == "2.0"
    assert version(parts) == "2.0"


def test_rollback_takes_the_former_model_back(
    bench: tuple[Activation, Parts, str], store: ModelStore
) -> None:
    activation, parts, bundle_id = bench
    activation.activate("2.0")
    assert activation.rollback()["previous"] == bundle_id
    assert version(parts) != "2.0"
    assert store.active().current == SHIPPED


def test_a_key_that_cannot_be_read_takes_the_model_away_and_not_the_daemon(
    store: ModelStore, made: Callable[[str], Path], health: Health, tmp_path: Path
) -> None:
    store.activate(store.install(made("2.0"), proved).bundle_id)
    (tmp_path / "keys/clinic.pub").write_text("no key")
    assert (
        first_serving(serving_from, None, store, health, serving_from).bundle.folder
        == shipped_bundle()
    )
    assert "not a key in PEM" in health.reasons[0]


def test_a_model_that_was_rolled_back_by_hand_does_not_come_back_when_its_last_workers_die(
    bench: tuple[Activation, Parts, str], store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(monkeypatch)
    activation, parts, _ = bench
    activation.activate("2.0")
    old = parts.model.serving
    activation.rollback()
    rolled_back, parts.model.serving = parts.model.serving, old
    finish(activation, parts, "a", Died("x"))
    finish(activation, parts, "b", Died("x"))
    assert parts.model.serving is old  # nobody swapped
    assert rolled_back is not None
    assert store.active().current == SHIPPED


def test_a_trial_goes_on_after_a_restart_and_ends_on_the_disk(
    store: ModelStore, made: Callable[[str], Path], parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(monkeypatch)
    bundle_id = store.install(made("2.0"), proved).bundle_id
    store.activate(bundle_id, trial=True)
    for deaths, current in ((0, Active(bundle_id, SHIPPED)), (2, Active(SHIPPED, None))):
        store.activate(bundle_id, trial=True)
        parts.model.serving = serving_from(store.current())
        activation = activation_of(store, parts)
        activation.resume_trial()
        for number in range(deaths):
            finish(activation, parts, str(number), Died("x"))
        for number in range(5):
            finish(activation, parts, str(number), Rejection(Reason.EMPTY, ""))
        assert store.active() == current


def test_no_way_back_is_told_and_the_service_goes_on(
    bench: tuple[Activation, Parts, str],
    store: ModelStore,
    health: Health,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined(monkeypatch)
    activation, parts, bundle_id = bench
    activation.activate("2.0")
    (store.root / "active.json").write_text(json.dumps({"current": bundle_id, "previous": None}))
    finish(activation, parts, "a", Died("x"))
    finish(activation, parts, "b", Died("x"))
    assert "there is no way back: no model served before" in health.reasons[0]
    assert (parts.model.held, version(parts)) == (False, "2.0")


def test_trial_images_of_0_put_no_model_on_trial(
    store: ModelStore, made: Callable[[str], Path], parts: Parts
) -> None:
    bundle_id = store.install(made("2.0"), proved).bundle_id
    activation = activation_of(store, parts, trial_images=0)
    activation.activate("2.0")
    assert store.active() == Active(bundle_id, SHIPPED)
    for image_id in "abc":
        finish(activation, parts, image_id, Died("x"))
    assert version(parts) == "2.0"
