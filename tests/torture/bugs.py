"""
Plant bugs that somebody might introduce one day.

The oracle must catch every one of them (tests/torture/test_oracle.py).
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from edge.daemon.intake.mqtt import MqttIntake
from edge.daemon.pipeline.recovery import Recovery
from edge.daemon.publish.mqtt import MqttSink, ReplySink
from edge.daemon.workers.pool import Workers
from edge.mqtt.client import MqttClient
from edge.storage.archive import Archive
from edge.storage.claim import Claim
from edge.storage.ledger.images import Images
from edge.storage.ledger.outbox import Outbox
from edge.storage.names import RENAMED
from edge.storage.spool import Spool


def ack_before_commit() -> None:
    """Acknowledge a request to the broker before the ledger has it."""
    make, take = MqttIntake.__init__, MqttIntake._take
    brokers: list[MqttClient] = []

    def look(self: MqttIntake, broker: MqttClient, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        brokers[:] = [broker]
        make(self, broker, *args, **kwargs)

    def hasty(self: MqttIntake, arrival: Any) -> None:  # noqa: ANN401
        arrival.incoming.acknowledge()
        brokers[0].publish(
            "nobody/listens", b""
        )  # answered after our PUBACK was read: no kill is quicker than that
        take(self, arrival)

    MqttIntake.__init__ = look  # type: ignore[method-assign]
    MqttIntake._take = hasty  # type: ignore[method-assign]


def forget_before_sending() -> None:
    """Remove the outbox row before the broker has the result."""
    send = MqttSink.send
    outbox: list[Outbox] = []
    pending = Outbox.pending

    def look(self: Outbox, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        outbox[:] = [self]
        return pending(self, *args, **kwargs)

    def hasty(self: MqttSink, delivery: Any) -> None:  # noqa: ANN401
        outbox[0].delivered(delivery)
        send(self, delivery)

    Outbox.pending = look  # type: ignore[method-assign]
    MqttSink.send = hasty  # type: ignore[method-assign]


def drop_orphans() -> None:
    """Remove files that a kill left in the spool."""
    take_up = Recovery._take_up_orphans

    def tidy(self: Recovery, *, lost: bool) -> None:
        for path in list(self._spool.orphans()):
            if path.name.startswith(RENAMED) and not self._ledger.submissions.owns(path):
                path.unlink()
        take_up(self, lost=lost)

    Recovery._take_up_orphans = tidy  # type: ignore[method-assign]


def examine_again_after_a_kill() -> None:
    """Examine concluded images that are not archived once more at the next start, as a retry."""
    recover = Images.recover

    def eager(self: Images) -> int:
        with self._database.transaction() as db:
            again = (
                "INSERT INTO submissions (image_id, source, received_at, "
                "settled) SELECT image_id, 'retry', 1, 1 FROM images"
            )
            db.execute(f"{again} WHERE state = 'concluded'")
            db.execute(
                "UPDATE images SET state = 'received', generation = "
                "generation + 1 WHERE state = 'concluded'"
            )
        return recover(self)

    Images.recover = eager  # type: ignore[method-assign]


def blame_for_kills() -> None:
    """Count a kill of the supervisor as an attempt of the image."""
    recover = Images.recover

    def harsh(self: Images) -> int:
        with self._database.transaction() as db:
            db.execute("UPDATE images SET attempts = attempts + 1 WHERE state = 'examining'")
        return recover(self)

    Images.recover = harsh  # type: ignore[method-assign]


def copy_into_the_archive() -> None:
    """Copy a file into the archive and leave it in the spool."""
    archive = Spool.archive

    def generous(self: Archive, path: Path, *args: Any, **kwargs: Any) -> Path:  # noqa: ANN401
        data = path.read_bytes() if path.exists() else b""
        target = archive(self, path, *args, **kwargs)
        if data:
            path.write_bytes(data)
        return target

    Spool.archive = generous  # type: ignore[method-assign]


def score_other_bytes() -> None:
    """Give the worker the bytes of the first film under the name of every other."""
    submit = Workers.submit
    first: list[Path] = []

    def careless(self: Workers, path: Path, *args: Any) -> None:  # noqa: ANN401
        if not first:
            first.append(Path(tempfile.mkdtemp()) / "first")
            first[0].write_bytes(path.read_bytes())
        submit(self, first[0], *args)

    Workers.submit = careless  # type: ignore[method-assign, assignment]


def forget_a_failed_undo() -> None:
    """Forget a claim that could not be undone."""
    give_back = Claim.give_back

    def forgetful(self: Claim, source: Path) -> bool:
        give_back(self, source)
        return True

    Claim.give_back = forgetful  # type: ignore[method-assign]


def answer_the_wrong_requester() -> None:
    """Send each reply to whoever asked before."""
    send = ReplySink.send
    before: list[Any] = []

    def confused(self: ReplySink, delivery: Any) -> None:  # noqa: ANN401
        to = before[-1] if before else delivery
        before[:] = [delivery]
        send(
            self,
            replace(delivery, response_topic=to.response_topic, correlation=to.correlation),
        )

    ReplySink.send = confused  # type: ignore[method-assign, assignment]


def send_the_newest_first() -> None:
    """Wait for a second result, and send the newest of those that wait."""
    pending = Outbox.pending
    begun: list[bool] = []

    def hasty(self: Outbox, sinks: Any, limit: int = 16) -> Any:  # noqa: ANN401
        found = pending(self, sinks)
        begun.extend([True] * (len(found) > 1))
        return found[::-1][:limit] if begun else []

    Outbox.pending = hasty  # type: ignore[method-assign]


BUGS: Final[dict[str, Callable[[], None]]] = {
    bug.__name__: bug
    for bug in (
        ack_before_commit,
        forget_before_sending,
        drop_orphans,
        examine_again_after_a_kill,
        blame_for_kills,
        copy_into_the_archive,
        score_other_bytes,
        forget_a_failed_undo,
        answer_the_wrong_requester,
        send_the_newest_first,
    )
}
