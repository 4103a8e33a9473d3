"""`info` says what a device is, again at each change, and its head shows a log that was cut."""

import json
import shutil
from pathlib import Path
from typing import Any

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge import __version__
from edge.config.load import load
from edge.contract.info import Info
from edge.daemon.wiring.settings_noted import fleet_digest_of
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.models.signature import sign
from edge.storage.audit import NAME, Audit
from tests.support.keys import key_pair
from tests.support.rig import Rig, run_command, until


def told(subscriber: Subscriber) -> list[dict[str, Any]]:
    """All messages on `info` so far; each of them is what the schema says."""
    found = subscriber.under("info")
    for message in found:
        Info.model_validate(message)
    return found


def head(message: dict[str, Any]) -> str:
    return f"{message['audit']['number']}:{message['audit']['hash']}"


def says_head_of(rig: Rig, subscriber: Subscriber) -> None:
    """Wait until the newest `info` has the head that the log has now."""
    state = load(rig.config, {}).state.path
    until(
        lambda: told(subscriber) and head(told(subscriber)[-1]) == str(Audit(state).head()),
        "the head is told",
        rig.words,
    )


def test_info_comes_at_the_connection_and_not_again_until_something_changes(
    rig: Rig, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    rig.configure("\n[publish]\nhealth_s = 0.2\n")
    rig.ready()
    settings, shipped = load(rig.config, {}), verify(shipped_bundle())
    (info,) = subscriber.wait_under("info", 1)
    assert (info["site"], info["device"], info["version"]) == ("demo", "edge-1", __version__)
    assert info["model"]["bundle"] == shipped.bundle_id
    assert (info["signature"], info["configuration"]) == ("shipped", fleet_digest_of(settings))
    assert info["measured"] == sorted(
        shipped.manifest.model_of(shipped.manifest.default_model).measured or ()
    )
    subscriber.wait_under("health", 5)  # each of them some turns of the thread that tells `info`
    assert told(subscriber) == [info]
    with Subscriber(mosquitto.port) as late:  # it is retained
        assert late.wait_under("info", 1) == [info]
    rig.stop()
    rig.ready()
    again = subscriber.wait_under("info", 2)[-1]
    same = ("configuration", "audit", "model", "signature")
    assert [again[key] for key in same] == [info[key] for key in same]
    mosquitto.restart()
    until(lambda: len(told(subscriber)) >= 3, "told on the new connection", rig.words)


def test_the_head_that_info_said_convicts_a_log_that_was_cut_with_its_note(
    daemon: Rig, subscriber: Subscriber
) -> None:
    state = load(daemon.config, {}).state.path
    before = subscriber.wait_under("info", 1)[0]
    assert run_command("reload", "--config", daemon.config).returncode == 0
    says_head_of(daemon, subscriber)
    said = told(subscriber)[-1]
    assert said["audit"]["number"] == before["audit"]["number"] + 2  # asked, and done
    verify_log = ("audit", "verify", "--config", daemon.config, "--head", head(said))
    assert run_command(*verify_log).returncode == 0
    lines = (state / NAME).read_bytes().splitlines(keepends=True)
    (state / NAME).write_bytes(b"".join(lines[:-1]))
    (state / "audit.head").unlink()
    assert run_command(*verify_log[:4]).returncode == 0  # the log itself no longer knows
    convicted = run_command(*verify_log)
    assert (convicted.returncode, "are missing" in convicted.stdout) == (1, True)


def test_info_names_the_key_of_an_activated_model_and_the_settings_of_a_reload(
    rig: Rig, subscriber: Subscriber, tmp_path: Path
) -> None:
    key = key_pair(tmp_path, "clinic")
    rig.configure(f'\n[model]\nkeys = "{tmp_path}/keys"\n')
    rig.ready()
    before = subscriber.wait_under("info", 1)[0]
    bundle = Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))
    fields = json.loads((bundle / "bundle.json").read_text()) | {"version": "next"}
    (bundle / "bundle.json").write_text(json.dumps(fields))
    identity = sign(bundle, key)
    run_command("model", "install", bundle, "--activate", "--config", rig.config)
    until(lambda: told(subscriber)[-1]["model"]["version"] == "next", "activated", rig.words)
    assert told(subscriber)[-1]["signature"] == identity
    rig.config.write_text(rig.config.read_text() + "[worker]\ntimeout_s = 50\n")
    assert run_command("reload", "--config", rig.config).returncode == 0
    digest = fleet_digest_of(load(rig.config, {}))
    assert digest != before["configuration"]
    until(lambda: told(subscriber)[-1]["configuration"] == digest, "reloaded", rig.words)


def test_a_broker_that_refuses_info_gets_everything_else(
    rig: Rig, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    acl = mosquitto.folder / "acl"
    acl.write_text("topic readwrite #\ntopic deny mammo/v1/demo/edge-1/info\n")
    acl.chmod(0o600)
    mosquitto.config = f"acl_file {acl}\n"
    mosquitto.restart()
    rig.ready()
    until(lambda: "info_refused" in rig.status()["reason_codes"], "refused", rig.words)
    subscriber.wait_for(
        lambda _: "info_refused" in subscriber.last("status").get("reason_codes", ())
    )
    assert told(subscriber) == []
    assert rig.stop() == 0
