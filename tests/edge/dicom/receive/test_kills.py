"""An object whose sender was told success is in the inbox, whole and once, whatever is killed."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.receiver import (
    MAMMOGRAM,
    Receiver,
    association,
    command,
    data_set,
    fragment,
    request,
    sent,
    written,
)
from tests.support.rig import PATIENCE_S, until
from tests.support.tools import need
from tests.support.trace import Trace

HALF_WAY = """
import os, signal, sys
from pathlib import Path
from edge.config.settings import Inbox as Place, Settings
from edge.dicom.receive.inbox import Inbox, Incoming

place, left = Path(sys.argv[1]), int(sys.argv[2])
KINDS = {"open", "os.mkdir", "os.rename", "os.listdir", "os.scandir", "os.chmod", "fcntl.flock"}

def hear(event, args):
    global left
    if event in KINDS:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

inbox = Settings(inbox=Place(path=place))
sys.addaudithook(hear)
incoming = Incoming(Inbox(inbox), b"head")
incoming.write(b"data" * 100_000)
if incoming.finish() is None:
    os.write(1, b"success")
"""


def test_after_a_kill_at_each_step_what_was_told_is_there_once_and_nothing_half(
    tmp_path: Path,
) -> None:
    whole = b"head" + b"data" * 100_000
    for step in range(1, 100):
        inbox = tmp_path / f"inbox{step}"
        inbox.mkdir()
        words = [sys.executable, "-c", HALF_WAY, str(inbox), str(step)]
        done = subprocess.run(words, capture_output=True, check=False)
        found = [path.read_bytes() for path in inbox.iterdir() if path.name != ".dicom"]
        assert found in ([], [whole]), step
        if done.stdout == b"success":
            assert found == [whole]
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert 5 < step < 99


@pytest.mark.usefixtures("as_it_stands")
def test_a_receiver_that_is_killed_while_it_receives_forgets_the_half_and_keeps_the_whole(
    tmp_path: Path,
) -> None:
    whole = written(tmp_path, 1)
    receiver = Receiver(tmp_path / "killed")
    with receiver:
        with association(receiver) as made:
            assert sent(made, whole) == 0
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE_S) as sender:
            sender.sendall(request())
            sender.recv(65536)
            sender.sendall(fragment(3, 3, command(0x01, MAMMOGRAM)) + fragment(3, 0, data_set(2)))
            until(receiver.left, "the second one has begun", receiver.words)
            receiver.stop(signal.SIGKILL)
        assert len(receiver.left()) == 1
    with receiver:
        assert receiver.left() == []
        assert [path.read_bytes() for path in receiver.received()] == [whole.read_bytes()]


@pytest.mark.usefixtures("as_it_stands")
def test_success_is_told_only_when_the_bytes_and_the_name_are_synced(tmp_path: Path) -> None:
    calls = "trace=write,fsync,rename,renameat,renameat2,sendto,openat"
    options = ["-f", "-y", "-x", "-s", "8", "-o", str(tmp_path / "calls"), "-e", calls]
    receiver = Receiver(tmp_path / "traced", before=[need("strace", "strace"), *options])
    receiver.start()
    children = Path(f"/proc/{receiver.process.pid}/task/{receiver.process.pid}/children")
    with association(receiver) as made:
        assert sent(made, written(tmp_path, 1)) == 0
    os.kill(int(children.read_text().split()[0]), signal.SIGTERM)  # not strace
    receiver.process.wait(PATIENCE_S)
    trace = Trace(tmp_path / "calls")
    written_at = trace.first(r"^write\(\d+<[^>]*/\.dicom/")
    synced = trace.first(r"^fsync\(\d+<[^>]*/\.dicom/", written_at)
    renamed = trace.first(r"^rename", synced)
    folder_synced = trace.first(r"^fsync\(\d+<[^>]*/inbox>", renamed)
    assert trace.none_between(r'^sendto\(\d+<[^>]*>, "\\x04', written_at, folder_synced)
    trace.first(r'^sendto\(\d+<[^>]*>, "\\x04', folder_synced)
