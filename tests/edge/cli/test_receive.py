"""`mammo-edge receive`: what keeps it from starting is said, and nobody else needs its library."""

import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from edge.cli import receive
from edge.errors import ConfigError
from edge.system import extras
from tests.support.receiver import (
    CALLER,
    MAMMOGRAM,
    Receiver,
    command,
    data_set,
    fragment,
    request,
)
from tests.support.rig import PATIENCE_S, run_command, until


def python(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(asked, capture_output=True, text=True, check=False)


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").touch()
    code = (
        "import sys; sys.modules['pynetdicom'] = None; from edge.cli.main import main; "
        "sys.exit(main(['--config', sys.argv[1], 'receive']))"
    )
    done = python(code, tmp_path / "edge.toml")
    assert done.returncode == 78
    assert "pynetdicom is missing: pip install 'mammo-edge[dicom]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_on_a_packaged_system_it_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "PACKAGED", tmp_path)
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    (tmp_path / "edge.toml").touch()
    with pytest.raises(ConfigError, match=r"apt install \./mammo-edge-dicom_VERSION_all\.deb"):
        receive.run(Namespace(config=tmp_path / "edge.toml"))


def test_a_library_beside_the_environment_is_found_by_the_receiver_alone(tmp_path: Path) -> None:
    (tmp_path / "extra/pynetdicom").mkdir(parents=True)
    (tmp_path / "extra/pynetdicom/__init__.py").touch()
    code = (
        "import sys; from pathlib import Path; from edge.system.extras import find; "
        "sys.path[:] = [one for one in sys.path if not (Path(one) / 'pynetdicom').is_dir()]; "
        "found = [find('pynetdicom', 'dicom', Path(sys.argv[1], one)) for one in ('none', '.')]; "
        "print(found)"
    )
    done = python(code, tmp_path / "extra")
    assert done.stdout == "[False, True]\n", done.stderr


def test_daemon_and_commands_import_nothing_of_it() -> None:
    code = (
        "import sys, edge.daemon.app, edge.inference.examiner, edge.cli.run, edge.cli.receive; "
        "print([name for name in sys.modules if name.startswith(('pynetdicom', 'edge.dicom'))])"
    )
    done = python(code)
    assert done.stdout == "[]\n", done.stderr


def test_what_may_pass_is_tried_again_and_what_a_person_must_change_is_not(tmp_path: Path) -> None:
    with Receiver(tmp_path / "first") as first:
        for name, more, why, status in (
            ("port", f'listen = "127.0.0.1:{first.port}"', "dicom.listen: 127.0.0.1:", 1),
            ("late", 'listen = "192.0.2.1:11112"', "dicom.listen: 192.0.2.1:11112: Cannot", 1),
            ("intake", "[intake]\nfolder = false", "intake.folder is false: nobody would take", 78),
            ("key", 'ca = "/none"\ncert = "/none"\nkey = "/none"', "dicom.cert: /none with", 78),
        ):
            config = tmp_path / f"{name}.toml"
            (tmp_path / name).mkdir()
            section = f"[dicom]\n{more}" if not more.startswith("[") else more
            config.write_text(f'[inbox]\npath = "{tmp_path / name}"\n{section}\n')
            done = run_command("--config", config, "receive")
            assert (done.returncode, why in done.stderr) == (status, True), done.stderr


def test_it_ends_at_once_when_it_is_told_to(tmp_path: Path) -> None:
    with Receiver(tmp_path / "told") as receiver:
        assert receiver.stop() == 0
        assert "event=stopped open=0" in receiver.words()


TOLD_AS_IT_BEGINS = """
import os, signal, sys, threading
from edge.cli.main import main

begin = threading.Thread.start

def told(thread):
    if getattr(thread._target, "__name__", "") == "serve_forever":
        os.kill(os.getpid(), signal.SIGTERM)
    begin(thread)

threading.Thread.start = told
sys.exit(main(["--config", sys.argv[1], "receive"]))
"""


def test_it_ends_as_well_when_it_is_told_to_before_it_has_begun(tmp_path: Path) -> None:
    with Receiver(tmp_path / "configured") as configured:
        configured.stop()
        done = subprocess.run(
            [sys.executable, "-c", TOLD_AS_IT_BEGINS, configured.config],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
    assert (done.returncode, "event=stopped open=0" in done.stderr) == (0, True), done.stderr


def test_nothing_of_half_an_object_stays_when_it_is_told_to_end(tmp_path: Path) -> None:
    with Receiver(tmp_path / "told", f'callers = ["{CALLER}@127.0.0.1/32"]') as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE_S) as peer:
            peer.sendall(request())
            assert peer.recv(65536)
            peer.sendall(fragment(3, 3, command(1, MAMMOGRAM)) + fragment(3, 0, data_set(1)))
            until(lambda: receiver.left() != [], "half an object", receiver.words)
            assert receiver.stop() == 0
        assert receiver.left() == []
