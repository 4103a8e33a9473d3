"""What cannot work is said in one clear line with exit status 78; what can work is ready soon."""

import json
import shutil
import signal
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.demo.brokers import free_port
from edge.models.active import shipped_bundle
from tests.support.rig import PATIENCE_S, Rig, run_command, until


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Rig(tmp_path / "edge", free_port()).config


def said(config: Path, **env: str) -> tuple[int, str]:
    ended = run_command("run", "--config", config, env=env)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def change(config: Path, old: str, new: str) -> Path:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    return config


def test_a_wrong_key_in_the_toml_is_named(config: Path) -> None:
    code, text = said(change(config, "host =", "hots ="))
    assert code == 78
    assert text.startswith(
        f"mammo-edge: {config}: broker.hots: unknown key, expected one of host, port,"
    )
    assert len(text.splitlines()) == 1


def test_a_wrong_variable_is_named_without_its_value(config: Path) -> None:
    code, text = said(config, MAMMO_EDGE_BROKER__PASWORD="geheim")  # noqa: S106 - a test's secret
    assert code == 78
    assert "MAMMO_EDGE_BROKER__PASWORD: unknown key" in text
    assert "geheim" not in text


def test_a_state_folder_that_cannot_be_written_is_named(config: Path) -> None:
    code, text = said(change(config, '/state"', '/edge.toml/state"'))
    assert code == 78
    assert "state.path" in text
    assert "Not a directory" in text


def test_an_archive_inside_the_inbox_is_refused(config: Path) -> None:
    code, text = said(change(config, '/done"', '/inbox/done"'))
    assert code == 78
    assert "spool.done:" in text
    assert "lies in the inbox" in text


def test_a_second_daemon_on_one_state_folder_refuses(config: Path) -> None:
    rig = Rig(config.parent / "first", free_port())
    rig.place("state", config.parent / "state")
    with rig:
        code, text = said(config)
    assert code == 78
    assert "another mammo-edge has it open" in text


def copied_bundle(folder: Path) -> Path:
    return Path(shutil.copytree(shipped_bundle(), folder / "bundle"))


def with_bundle(config: Path, bundle: Path) -> Path:
    config.write_text(config.read_text() + f'[model]\nbundle = "{bundle}"\n')
    return config


def test_a_bundle_whose_hash_is_wrong_is_refused(config: Path) -> None:
    bundle = copied_bundle(config.parent)
    model = bundle / "model.tflite"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    code, text = said(with_bundle(config, bundle))
    assert code == 78
    assert f"{model}: sha256 is " in text
    assert "bundle.json says" in text


def test_a_bundle_that_does_not_give_its_known_answers_is_refused(config: Path) -> None:
    bundle = copied_bundle(config.parent)
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["models"][manifest["default_model"]]["known_answers"][0]["raw"] = 0.999
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    code, text = said(with_bundle(config, bundle))
    assert code == 78
    assert "expected 0.999000 within" in text


def test_a_bundle_with_an_unknown_key_is_refused(config: Path) -> None:
    bundle = copied_bundle(config.parent)
    manifest = json.loads((bundle / "bundle.json").read_text()) | {"surprise": 1}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    code, text = said(with_bundle(config, bundle))
    assert code == 78
    assert "bundle.json: surprise:" in text


def test_check_finds_what_a_start_would_find(config: Path) -> None:
    checked = run_command("check", "--config", config)
    assert checked.returncode == 0, checked.stdout
    assert "known answers 3 of 3 within tolerance" in checked.stdout
    change(config, '/state"', '/edge.toml/state"')
    checked = run_command("check", "--config", config, "--json")
    assert checked.returncode == 78
    assert [entry["what"] for entry in json.loads(checked.stdout) if not entry["ok"]] == [
        "state.path"
    ]


def test_systemd_is_told_when_it_is_ready_alive_and_stopping(config: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="notify-"))  # a socket's path must be short
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "s"))
        listener.settimeout(PATIENCE_S)
        rig = Rig(
            config.parent / "notify",
            free_port(),
            before=["env", f"NOTIFY_SOCKET={folder}/s", "WATCHDOG_USEC=60000000"],
        )
        rig.start()
        said_before_ready = list(iter(lambda: listener.recv(4096).decode(), "READY=1"))
        assert any(line.startswith("STATUS=") for line in said_before_ready)
        assert rig.answers()
        while listener.recv(4096) != b"WATCHDOG=1":
            pass
        assert rig.stop() == 0
        assert b"STOPPING=1" in iter(lambda: listener.recv(4096), b"")
    shutil.rmtree(folder)


def environments(rig: Rig) -> list[bytes]:
    found = []
    for pid in rig.children():
        with suppress(OSError):  # it ended meanwhile
            found.append(Path(f"/proc/{pid}/environ").read_bytes())
    return found


def has_secret(environment: bytes) -> bool:
    return b"geheim" in environment or b"CREDENTIALS" in environment


def test_workers_do_not_inherit_secrets_and_no_command_line_shows_one(config: Path) -> None:
    rig = Rig(
        config.parent / "secret",
        free_port(),
        before=["env", "MAMMO_EDGE_BROKER__PASSWORD=geheim", "CREDENTIALS_DIRECTORY=/nowhere"],
    )
    with rig:
        assert environments(rig)
        # a child has its parent's until it runs its own program
        until(lambda: not any(map(has_secret, environments(rig))), "workers have no secret")
        assert rig.process
        command_lines = [
            Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (rig.process.pid, *rig.children())
        ]
        assert b"run" in command_lines[0]
        assert not any(b"geheim" in line for line in command_lines)
        assert "geheim" not in rig.words()


def test_sighup_reloads_and_a_refused_configuration_keeps_the_device_working(config: Path) -> None:
    rig = Rig(config.parent / "kept", free_port())
    with rig:
        assert rig.process is not None
        rig.process.send_signal(signal.SIGHUP)
        until(lambda: "event=reloaded" in rig.words(), "reloaded", rig.words)
        rig.configure("[retention]\ndone_dayz = 1\n")
        rig.process.send_signal(signal.SIGHUP)
        until(lambda: "event=reload_refused" in rig.words(), "refused", rig.words)
        rig.kill()
        rig.ready()
        assert "config_refused" in rig.status()["reason_codes"]
        assert rig.stop() == 0
