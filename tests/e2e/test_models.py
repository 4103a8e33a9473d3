"""Install, activate and roll back as an operator does, with the daemon running."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.subscriber import Subscriber
from edge.cli import models
from edge.config.load import load
from edge.config.settings import Settings
from edge.daemon.workers.servable import open_store
from edge.errors import ModelError
from edge.models.active import shipped_bundle
from edge.models.signature import sign
from edge.models.transfer import announcement, publisher
from tests.support import crashing
from tests.support.keys import key_pair
from tests.support.rig import TOPICS, Rig, film, run_command, until


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The shipped model under another version, not signed yet."""
    folder = Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))
    change(folder, version="next")
    return folder


def change(folder: Path, **fields: object) -> None:
    (folder / "bundle.json").write_text(
        json.dumps(json.loads((folder / "bundle.json").read_text()) | fields)
    )


@pytest.fixture
def settings(rig: Rig, tmp_path: Path) -> Settings:
    """The rig's configuration, which takes what `clinic.pem` signed."""
    key_pair(tmp_path, "clinic")
    rig.configure(f'\n[model]\nkeys = "{tmp_path}/keys"\n')
    return load(rig.config, {})


def test_a_signed_model_is_activated_and_rolled_back_without_losing_an_image(
    rig: Rig, settings: Settings, bundle: Path, tmp_path: Path
) -> None:
    rig.ready()
    sign(bundle, tmp_path / "clinic.pem")
    ids = {rig.drop(f"{number}.png", film(number)) for number in range(3)}
    installed = run_command(
        "model", "install", bundle, "--activate", "--json", "--config", rig.config
    )
    assert installed.returncode == 0, installed.stderr
    assert json.loads(installed.stdout)["previous"] == "shipped"
    assert rig.result_of(rig.drop("after.png", film(99)))["model"]["version"] == "next"
    assert {row["version"]: row["serves"] for row in models.listed(settings)}["next"] == "now"
    for image_id in ids:
        assert rig.result_of(image_id)["score"] is not None
    rig.kill()
    rig.ready()
    assert rig.status()["model"]["version"] == "next"
    assert models.rollback(settings)["version"] != "next"
    assert rig.result_of(rig.drop("back.png", film(100)))["model"]["version"] != "next"


def test_what_is_unsigned_is_refused_with_the_reason(settings: Settings, bundle: Path) -> None:
    with pytest.raises(ModelError, match="not signed"):
        models.install(settings, bundle, activate=True)
    assert [row["bundle"] for row in models.listed(settings)] == ["shipped"]


def test_over_mqtt_a_bad_model_is_refused_with_the_reason_and_a_good_one_serves(
    rig: Rig, settings: Settings, bundle: Path, tmp_path: Path
) -> None:
    rig.configure('[intake]\ncommands = ["model/activate", "model/rollback"]\n')
    sign(bundle, tmp_path / "clinic.pem")
    models.install(settings, bundle, activate=False)
    change(bundle, version="rotten")
    sign(bundle, tmp_path / "clinic.pem")
    rotten = models.install(settings, bundle, activate=False)["bundle"]
    (rig.folder / "state/models" / rotten / "model.tflite").write_bytes(b"one flipped bit")
    rig.ready()
    subscriber = rig.subscriber
    assert subscriber is not None
    rig.await_introduction()
    subscriber.publish(
        f"{TOPICS}/command/model/activate", json.dumps({"bundle": rotten[:12]}).encode()
    )
    refused = subscriber.wait_under("ack", 1)[0]
    assert (refused["ok"], refused["command"], "sha256 is" in refused["error"]) == (
        False,
        "model/activate",
        True,
    )
    assert rig.result_of(rig.drop("old.png", film(1)))["model"]["version"] != "next"
    subscriber.publish(f"{TOPICS}/command/model/activate", b'{"bundle": "next"}')
    assert subscriber.wait_under("ack", 2)[1]["version"] == "next"
    assert rig.result_of(rig.drop("new.png", film(2)))["model"]["version"] == "next"
    subscriber.publish(f"{TOPICS}/command/model/rollback", b"{}")
    assert subscriber.wait_under("ack", 3)[2]["previous"] is not None
    assert rig.result_of(rig.drop("back.png", film(3)))["model"]["version"] != "next"


def test_a_shadow_model_sees_what_the_first_one_sees_and_decides_nothing(
    rig: Rig, settings: Settings, bundle: Path, tmp_path: Path
) -> None:
    manifest = json.loads((bundle / "bundle.json").read_text())
    serving = manifest["models"][manifest["default_model"]]
    for judged in (serving, *serving["by_domain"].values()):
        for point in judged["operating_points"].values():
            point.update(threshold=1.0, band_low=1.0, band_high=1.0)  # to it, everything is benign
    change(bundle, models=manifest["models"])
    sign(bundle, tmp_path / "clinic.pem")
    models.install(settings, bundle, activate=False)
    rig.config.write_text(rig.config.read_text() + 'shadow = "next"\n')
    rig.ready()
    subscriber = rig.subscriber
    assert subscriber is not None
    rig.await_introduction()  # what the shadow says before is lost
    ids = [rig.drop(f"{number}.png", film(number)) for number in range(2)] + [
        rig.drop("no.png", b"no picture")
    ]
    results = [rig.result_of(image_id) for image_id in ids]
    assert {result["model"]["version"] for result in results} != {"next"}
    until(lambda: len(shadows(subscriber)) == 3, "shadow results", rig.words)
    for image_id, result in zip(ids, results, strict=True):
        message = shadows(subscriber)[image_id]
        assert message["serving"]["outcome"] == result["outcome"]
        assert message["shadow"]["outcome"] == ("benign" if result["score"] else "rejected")
        assert message["agree"] == (message["shadow"]["outcome"] == result["outcome"])
    counters = rig.status()["counters"]  # counted before it is told
    assert counters.get("shadow_agree", 0) + counters.get("shadow_disagree", 0) == 3


def test_a_bundle_comes_in_chunks_also_if_the_daemon_is_killed_in_the_middle_of_it(
    rig: Rig, settings: Settings, bundle: Path, tmp_path: Path
) -> None:
    rig.configure('fetch_s = 600\n[intake]\ncommands = ["model/install"]\n')
    subscriber = rig.subscriber
    assert subscriber is not None
    sign(bundle, tmp_path / "clinic.pem")
    report = publisher.publish(settings, bundle, ["demo/edge-1"])
    made = announcement.make_announcement(bundle)
    half = made.chunks // 2
    assert (report["chunks"], report["signed"], half > 1) == (made.chunks, True, True)
    lost = subscriber.wait_for(
        lambda messages: next((m for m in messages if m.topic.endswith(f"/{half}")), None)
    )
    subscriber.retain(lost.topic, b"")
    rig.ready()
    rig.await_introduction()
    subscriber.publish(f"{TOPICS}/command/model/install", b'{"bundle": "next"}')
    part = rig.folder / f"state/models/.fetching-{made.sha256}"
    until(
        lambda: part.exists() and part.stat().st_size == half * made.chunk_bytes,
        "half of the chunks",
        rig.words,
    )
    rig.kill()
    subscriber.retain(lost.topic, bytes(lost.payload))
    rig.ready()  # the broker gives the command again
    answer = subscriber.wait_under("install/ack", 1)[0]
    assert answer == {
        "schema": "mammo.ack/1",
        "command": "model/install",
        "ok": True,
        "bundle": made.bundle,
        "name": "mammo-default",
        "version": "next",
    }
    assert [path.name for path in (rig.folder / "state/models").iterdir()] == [made.bundle]


def test_a_model_that_gives_no_numbers_is_taken_back_and_every_image_is_scored(
    rig: Rig, settings: Settings, bundle: Path, tmp_path: Path
) -> None:
    sign(bundle, tmp_path / "clinic.pem")
    store = open_store(settings)
    store.activate(
        store.install(bundle, lambda _: None).bundle_id, trial=True
    )  # as the command line does where no daemon runs
    rig.before = [sys.executable, crashing.__file__]  # there, `next` gives no numbers
    rig.ready()
    ids = {rig.drop(f"{number}.png", film(number)) for number in range(4)}
    until(lambda: rig.status()["model"]["version"] != "next", "taken back", rig.words)
    assert rig.subscriber is not None
    subscriber = rig.subscriber
    until(
        lambda: {m["image_id"] for m in subscriber.under("result") if m["score"]} == ids,
        "all scored",
        rig.words,
    )
    until(lambda: "model_rolled_back" in rig.status()["reason_codes"], "told", rig.words)
    status = rig.status()
    assert (status["state"], status["counters"]["model_rollbacks"]) == ("degraded", 1)
    assert "2 of its first images got no score (the model's output is nan" in status["reasons"][0]


def shadows(subscriber: Subscriber) -> dict[str, Any]:
    messages = [
        json.loads(m.payload)
        for m in list(subscriber.messages)
        if m.topic.endswith("/shadow/result")
    ]
    return {message["image_id"]: message for message in messages}
