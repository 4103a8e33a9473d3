"""Torture by two daemons: on one state folder, on one inbox, on one shared subscription."""

import json
import time

from deploy.demo.subscriber import Subscriber
from tests.support.rig import sha256, until
from tests.torture.bench import Bench, Row, scaled
from tests.torture.oracle import Evidence, judge
from tests.torture.site import Site

SHARED = "mammo/v1/demo/request/image"


def one_state(bench: Bench, scale: float) -> Row:
    """Start a second daemon on the same state folder: it refuses with exit code 78 and says why."""
    row = Row(
        "two daemons on one state folder: the second refuses with exit code 78", scaled(5, scale)
    )
    for _ in range(row.repetitions):
        with bench.site() as site, bench.site() as other:
            other.place("state", site.folder / "state")
            site.ready()
            site.give_some(4)
            other.start()
            row.expect(other.died(), "the second ends")
            row.expect(
                other.process is not None and other.process.returncode == 78, "its exit code is 78"
            )
            row.expect("another mammo-edge has it open" in other.words(), "it says why")
            site.faulted()
            recovery = site.recovered()
            row.add(site.judged(), recovery)
    return row


def nested(site: Site, other: Site) -> None:
    """Let two sites share an inbox, and let one evidence cover the folders of both."""
    text = other.config.read_text()
    for key in ("spool", "done", "failed"):
        text = text.replace(f'"{other.folder}/{key}"', f'"{site.folder}/{key}/second"')
    text = text.replace(f'"{other.folder}/inbox"', f'"{site.folder}/inbox"').replace(
        'name = "edge-1"', 'name = "edge-2"'
    )
    other.config.write_text(
        text.replace(f"port = {other.broker.port}", f"port = {site.broker.port}")
    )


def one_inbox(bench: Bench, scale: float) -> Row:
    """Share an inbox: each file is taken by one of them."""
    row = Row("two daemons on one inbox, one of them killed and restarted", scaled(5, scale))
    for _ in range(row.repetitions):
        with bench.site() as site, bench.site() as other:
            nested(site, other)
            site.ready()
            other.ready()
            site.give_some(20)
            other.kill()
            site.give_some(10)
            other.ready()
            site.faulted()
            site.recovered()
            until(other.settled, "the second is settled", other.words)
            recovery = time.monotonic() - site.faulted_at
            other.stop()
            site.states = [site.folder / "state", other.folder / "state"]
            row.add(site.judged(), recovery)
    return row


def shared_subscription(bench: Bench, scale: float) -> Row:
    """
    Share a subscription: each request is answered at least once, under one result id, though one
    device is killed and comes back.
    """
    row = Row(
        "two daemons on one shared subscription, one of them killed and restarted", scaled(5, scale)
    )
    for turn in range(row.repetitions):
        with (
            bench.site('[intake]\nshared_group = "both"\n') as site,
            bench.site('[intake]\nshared_group = "both"\n') as other,
        ):
            nested(site, other)
            other.config.write_text(
                other.config.read_text().replace(
                    f'"{site.folder}/inbox"', f'"{other.folder}/inbox"'
                )
            )
            site.ready()
            other.ready()
            assert site.subscriber is not None
            until(lambda: len(site.subscriber.under("status")) >= 2, "both online", site.words)  # type: ignore[union-attr]
            send(site, site.subscriber, turn, 0, 10)
            other.kill()
            send(site, site.subscriber, turn, 10, 20)
            other.ready()
            site.faulted()
            site.recovered()
            until(other.settled, "the second is settled", other.words)
            recovery = time.monotonic() - site.faulted_at
            site.stop()
            other.stop()
            states = [site.folder / "state", other.folder / "state"]
            verdict = judge(
                site.accepted,
                Evidence(site.inbox, site.spool, site.done, site.failed, states, site.heard()),
            )
            verdict.misplaced.clear()  # a request that was handed out again lies on both devices
            row.add(verdict, recovery)
    row.note = (
        "a device that never comes back: what the broker had given it is lost "
        "when its session expires; requesters send again"
    )
    return row


def send(site: Site, subscriber: Subscriber, turn: int, first: int, last: int) -> None:
    for number in range(first, last):
        data = json.dumps([turn, number, str(site.folder)]).encode() * 20
        subscriber.publish(SHARED, data, f"mammo/v1/demo/ws/{number}")
        site.accepted[sha256(data)] = True


SCENARIOS = (one_state, one_inbox, shared_subscription)
