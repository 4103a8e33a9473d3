"""
Everything that is acknowledged or published was synced before: seen in the system calls of a real
run.
"""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.rig import PATIENCE_S, TOPICS, Rig, film, until
from tests.support.tools import need
from tests.support.trace import Trace

CALLS: Final = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,sendto,sendmsg"
TO_BROKER: Final = r'^sendto\(\d+<(?:TCP|socket)[^>]*>, "\\x'
PUBLISH: Final = TO_BROKER + "3[2-9a-f]"
PUBACK: Final = TO_BROKER + "40"
WRITTEN: Final = r"^pwrite64\(\d+<[^>]*ledger\.sqlite3-wal>"
COMMIT: Final = r"^fdatasync\(\d+<[^>]*/state/ledger\.sqlite3-wal>"


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trace]:
    """Trace one request and one file with strace."""
    need("mosquitto", "mosquitto")
    strace = need("strace", "strace")
    folder = tmp_path_factory.mktemp("order")
    before: Sequence[str] = [
        strace,
        "-f",
        "-y",
        "-x",
        "-s",
        "8",
        "-o",
        str(folder / "calls"),
        "-e",
        f"trace={CALLS}",
    ]
    with Mosquitto(folder / "mosquitto") as broker, Subscriber(broker.port) as subscriber:
        with Rig(folder / "edge", broker.port, subscriber, before=before) as rig:
            assert rig.process is not None
            until(
                lambda: any(one["status"] == "online" for one in subscriber.under("status")),
                "online",
                rig.words,
            )
            subscriber.publish(f"{TOPICS}/request/image", film(1), "mammo/v1/demo/ws/reply")
            until(lambda: subscriber.under("reply") and rig.settled(), "answered", rig.words)
            rig.drop("film.png", film(2))
            until(lambda: subscriber.under("result") and rig.settled(), "answered", rig.words)
            os.kill(
                int(
                    Path(f"/proc/{rig.process.pid}/task/{rig.process.pid}/children")
                    .read_text()
                    .split()[0]
                ),
                signal.SIGTERM,
            )  # not strace
            rig.process.wait(PATIENCE_S)
        yield Trace(folder / "calls")


def test_a_request_is_acknowledged_only_when_its_bytes_its_name_and_its_row_are_synced(
    trace: Trace,
) -> None:
    renamed = trace.first(r'^rename\("[^"]*/claimed/\.[^"]*\.part", "[^"]*/claimed/m-')
    written = trace.first(r"^write\(\d+<[^>]*/claimed/\.[^>]*\.part>")
    synced = trace.first(r"^fsync\(\d+<[^>]*/claimed/\.[^>]*\.part>", written)
    assert written < synced < renamed
    acknowledged = trace.first(PUBACK)
    assert trace.in_order(r"^fsync\(\d+<[^>]*/claimed>", COMMIT, after=renamed) < acknowledged


def test_a_file_is_recorded_only_when_its_bytes_and_its_new_name_are_synced(trace: Trace) -> None:
    renamed = trace.first(r'^rename\("[^"]*/inbox/film\.png", "[^"]*/claimed/f-')
    synced = trace.in_order(
        r"^fsync\(\d+<[^>]*/claimed/f-", r"^fsync\(\d+<[^>]*/claimed>", after=renamed
    )
    assert trace.none_between(WRITTEN, renamed, synced)
    trace.first(COMMIT, synced)


def test_a_result_is_published_only_when_its_outcome_is_committed(trace: Trace) -> None:
    taken = trace.first(r'^rename\("[^"]*/inbox/film\.png"')
    recorded = trace.in_order(r"^fsync\(\d+<[^>]*/claimed>", COMMIT, after=taken)
    concluded = trace.first(COMMIT, recorded)  # that it was given to a worker is not synced
    assert trace.first(PUBLISH, taken) > concluded


def test_a_file_leaves_the_spool_with_its_result_synced_and_is_noted_once_both_names_are(
    trace: Trace,
) -> None:
    moved = trace.first(r'^rename\("[^"]*/claimed/f-[^"]*", "[^"]*/done/film\.')
    named = trace.first(r'^rename\("[^"]*/done/\.[^"]*\.part", "[^"]*/done/film\.[^"]*\.json"')
    assert trace.in_order(r"^fsync\(\d+<[^>]*/done/\.[^>]*\.part>", after=-1) < named
    assert named < moved
    mover = trace.threads[moved]
    assert trace.first(r"^fsync\(\d+<[^>]*/done>", moved, mover) < trace.first(
        WRITTEN, moved, mover
    )


def test_the_log_of_the_ledger_is_in_its_folder_before_the_first_commit_counts(
    trace: Trace,
) -> None:
    begun = trace.first(WRITTEN)
    assert trace.in_order(COMMIT, r"^f(?:data)?sync\(\d+<[^>]*/state>", after=begun) < trace.first(
        PUBACK
    )
