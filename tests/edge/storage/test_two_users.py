"""Films of other users: the daemon is nobody special, and its senders are others again."""

import hashlib
import math
import os
import shutil
import subprocess
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge.daemon.intake.candidates import Candidates
from edge.daemon.intake.writers import Said
from edge.errors import LockedError, Unavailable
from edge.storage.ledger import Ledger
from edge.storage.ledger.queries import open_queries
from edge.storage.names import archive_name
from edge.storage.spool import Spool
from edge.system import files
from tests.support.tools import need

DAEMON, SENDER, SENDERS = 61_001, 61_002, 61_003
FILM = b"a film" * 1000


def run_as(user: int, do: Callable[[], None], group: int | None = None) -> None:
    """Run something as another user, in a process of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, none of which the child uses
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            files._DISK = ThreadPoolExecutor(2)  # type: ignore[misc]
            os.setgroups([SENDERS])
            os.setgid(group or user)
            os.setuid(user)
            do()
            status = 0
        except BaseException:  # noqa: BLE001 - told by the status
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.fixture
def place() -> Iterator[Path]:
    """Folders as tmpfiles.d makes them."""
    if os.geteuid() != 0:
        pytest.skip("needs two users: run as root")
    folder = Path(tempfile.mkdtemp(prefix="mammo-two-users-"))
    folder.chmod(0o755)
    for name, group, mode in (("inbox", SENDERS, 0o3770), ("edge", DAEMON, 0o750)):
        (folder / name).mkdir()
        os.chown(folder / name, DAEMON, group)
        (folder / name).chmod(mode)
    yield folder
    shutil.rmtree(folder)


def sent(path: Path) -> None:
    """Write a film as its sender does."""
    os.umask(0o022)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(FILM)


def filed(place: Path, path: Path) -> None:
    """Take a film and archive it, as the daemon does."""
    os.umask(0o027)
    edge = place / "edge"
    spool = Spool(edge / "spool", edge / "done", edge / "failed")
    with spool.claiming(path, may_copy=True) as claim:
        pass
    spool.archive(claim.path, claim.image_id, claim.name, b"{}", scored=True)
    assert list(spool.claimed.iterdir()) == []


def test_a_film_of_another_user_leaves_the_sticky_inbox_and_is_the_daemon_s_own(
    place: Path,
) -> None:
    path = place / "inbox" / "film.dcm"
    run_as(SENDER, lambda: sent(path))
    run_as(DAEMON, lambda: filed(place, path))
    name = archive_name(b"film.dcm", hashlib.sha256(FILM).hexdigest())
    found = (place / "edge" / "done" / name).stat()
    assert (found.st_uid, found.st_mode & 0o777) == (DAEMON, 0o640)
    assert not path.exists()


def test_no_sender_removes_what_another_sent(place: Path) -> None:
    path = place / "inbox" / "film.dcm"
    run_as(SENDER, lambda: sent(path))

    def remove() -> None:
        with pytest.raises(PermissionError):
            path.unlink()

    run_as(SENDER + 10, remove, group=SENDERS)
    assert path.exists()


def test_a_folder_that_its_sender_shut_keeps_its_film_and_is_named(place: Path) -> None:
    path = place / "inbox" / "exam" / "film.dcm"
    run_as(SENDER, lambda: sent(path))

    def locked() -> None:
        with pytest.raises(LockedError):
            filed(place, path)

    run_as(DAEMON, locked)
    assert path.read_bytes() == FILM


def test_with_the_default_acl_of_tmpfiles_a_sender_s_folder_can_be_emptied(place: Path) -> None:
    lines = (Path(__file__).parents[3] / "systemd/tmpfiles.d/mammo-edge.conf").read_text()
    (acl,) = (line.split()[-1] for line in lines.splitlines() if line.startswith("a+ "))
    acl = acl.replace("user:mammo-edge:", f"user:{DAEMON}:")
    command = [need("setfacl", "acl"), "-m", acl, str(place / "inbox")]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs a file system with ACLs below /tmp")
    path = place / "inbox" / "exam" / "film.dcm"
    run_as(SENDER, lambda: sent(path))
    run_as(DAEMON, lambda: filed(place, path))
    assert not path.exists()


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_the_ledger_is_read_by_the_daemon_s_group_whether_it_runs_or_not(
    place: Path, *, running: bool
) -> None:
    state = place / "edge" / "state"
    umask = os.umask(0o027)
    ledger = Ledger(state, [], lambda payload, _: payload)
    os.umask(umask)
    if not running:
        ledger.close()
    for path in (state, *state.iterdir()):
        os.chown(path, DAEMON, DAEMON)

    def read() -> None:
        with open_queries(state) as queries:
            assert queries.results() == []

    run_as(SENDER, read, group=DAEMON)
    if running:
        ledger.close()


def test_an_image_in_a_spool_that_is_shut_waits_for_the_archive_until_it_is_opened(
    place: Path,
) -> None:
    path = place / "inbox" / "film.dcm"
    run_as(DAEMON, lambda: sent(path))

    def shut_and_opened() -> None:
        edge = place / "edge"
        spool = Spool(edge / "spool", edge / "done", edge / "failed")
        with spool.claiming(path, may_copy=True) as claim:
            pass
        spool.claimed.chmod(0)
        with pytest.raises(Unavailable, match="Permission denied"):
            spool.archive(claim.path, claim.image_id, claim.name, b"{}", scored=True)
        spool.claimed.chmod(0o750)
        spool.archive(claim.path, claim.image_id, claim.name, b"{}", scored=True)

    run_as(DAEMON, shut_and_opened)
    name = archive_name(b"film.dcm", hashlib.sha256(FILM).hexdigest())
    assert (place / "edge" / "done" / name).read_bytes() == FILM


@pytest.fixture
def shut_archive(place: Path) -> Iterator[Path]:
    """A folder on another mount that lets nobody remove its file, as one that is read-only."""
    folder = Path(tempfile.mkdtemp(prefix="mammo-two-users-", dir="/dev/shm"))
    if folder.stat().st_dev == place.stat().st_dev:
        pytest.skip("needs /dev/shm on another file system than /tmp")
    (folder / "film.dcm").write_bytes(FILM)
    (folder / "film.dcm").chmod(0o644)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_file_that_cannot_leave_its_archive_leaves_no_copy_in_the_spool(
    place: Path, shut_archive: Path
) -> None:
    def taken_back() -> None:
        edge = place / "edge"
        spool = Spool(edge / "spool", edge / "done", edge / "failed")
        for _ in range(3):
            with pytest.raises(Unavailable, match="Permission denied"):
                spool.take_back(shut_archive / "film.dcm", b"film.dcm")
        assert list(spool.claimed.iterdir()) == []
        assert not spool.stranded

    run_as(DAEMON, taken_back)
    assert (shut_archive / "film.dcm").read_bytes() == FILM


def test_a_film_of_another_user_that_cannot_leave_one_place_is_at_no_second_one(
    place: Path, shut_archive: Path
) -> None:
    def archived() -> None:
        edge = place / "edge"
        spool = Spool(edge / "spool", edge / "done", edge / "failed")
        image_id = hashlib.sha256(FILM).hexdigest()
        with pytest.raises(Unavailable, match="Permission denied"):
            spool.archive(shut_archive / "film.dcm", image_id, b"film.dcm", b"{}", scored=True)
        assert [path.suffix for path in spool.done.iterdir()] == [".json"]

    run_as(DAEMON, archived)


@pytest.mark.parametrize(("mode", "tried"), [(0o1777, False), (0o777, True)])
def test_a_listing_has_files_tried_again_only_where_they_may_be_removed_by_now(
    place: Path, mode: int, *, tried: bool
) -> None:
    path = place / "inbox" / "exam" / "film.dcm"
    run_as(SENDER, lambda: sent(path))
    path.parent.chmod(mode)

    def listed() -> None:
        candidates = Candidates(place / "inbox")
        candidates.note(path, Said.FINISHED, trusted_age_s=math.inf)
        candidate = candidates.get(path)
        assert candidate is not None
        candidate.locked, candidate.again_at = True, math.inf
        candidates.unlock()
        assert (candidate.again_at == 0) is tried

    run_as(DAEMON, listed)
