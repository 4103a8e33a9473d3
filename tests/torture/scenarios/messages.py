"""Torture by messages that cannot be worked on, which stand in the queue before honest ones."""

import json
import time
from pathlib import Path

from tests.support.lax import Lax
from tests.support.rig import sha256, until
from tests.torture.bench import Bench, Row, scaled
from tests.torture.crashes import OF_EXAMS, POINTS
from tests.torture.referring import Referrer
from tests.torture.scenarios.kills import OTHER_MOUNT, WAYS, kill_at
from tests.torture.site import Site
from tests.torture.toxic import COMMAND, DEADLY, IMAGE, REFERENCE, Toxic, of_command, toxics

CONFIG = '[intake]\ncommands = ["model/list"]\n'


class Queue:
    """
    The messages that stand before the honest ones, handed out by a broker that filters nothing.

    Args:
        site: that is to outlive them.
        lax: its broker.
    """

    def __init__(self, site: Site, lax: Lax) -> None:
        self._site, self._lax = site, lax
        self._commands: set[bytes] = set()
        """Correlation data of commands."""
        self._count = 0
        self.dropped = 0
        """Messages of the last `stand` that nobody can read."""

    def stand(self) -> None:
        """Put one message of each kind into the queue."""
        self._count += 1
        made = list(toxics(self._count))
        self.dropped = sum(
            one.topic == IMAGE and one.scored is None for one in made if not one.retain
        )
        for one in made:
            self.put(one)

    def put(self, one: Toxic) -> None:
        """Put one message into the queue."""
        if one.topic == COMMAND:
            self._commands.add(one.properties[3:])
        elif one.scored is not None:
            self._site.accepted[sha256(one.payload)] = one.scored
        self._lax.keep(one.topic, one.payload, one.properties, retain=one.retain, dup=one.dup)

    def gone(self) -> bool:
        """Tell if each is acknowledged, and each command refused."""
        return self._lax.unacknowledged == 0 and self._commands <= self._refused()

    def _refused(self) -> set[bytes]:
        assert self._site.subscriber is not None
        return {
            getattr(message.properties, "CorrelationData", b"")
            for message in list(self._site.subscriber.messages)
            if message.topic == f"{COMMAND}/ack" and not json.loads(message.payload)["ok"]
        }


def unworkable(bench: Bench, scale: float) -> Row:
    """Let bad messages of each kind stand before honest ones, and die at each step meanwhile."""
    row = Row("messages that cannot be worked on, between honest ones; SIGKILL at every step", 0)
    points = [point for point in POINTS if point not in OTHER_MOUNT.union(OF_EXAMS)]
    for turn in range(scaled(2, scale)):
        with bench.site(CONFIG) as site, Lax(site.broker.port) as lax:
            speak_through(lax, site)
            queue, referrer = Queue(site, lax), Referrer(site)
            deaths = site.folder / "deaths"
            deaths.touch()
            site.introduced().stop()
            outlive_the_deadly(row, site, queue, deaths)
            for place, point in enumerate(points):
                queue.stand()
                late = refer_to_what_comes_later(site, referrer)
                reached = kill_at(
                    site,
                    point,
                    1 + (turn + place) % 2,
                    4,
                    workers_too=(turn + place) % 2 == 1,
                    deaths=str(deaths),
                )
                row.expect(reached, f"it came to: {point}")
                row.repetitions += reached
                late.with_suffix(".tmp").rename(late)
                referrer.came(late.name)
            queue.stand()
            site.faulted()
            site.ready(deaths=str(deaths))
            site.give_some(4, WAYS)
            referrer.await_answers()
            until(queue.gone, "each bad message is refused", site.words)
            recovery = site.recovered()
            found = site.status()["counters"].get("ill_formed_packets", 0)
            row.expect(found >= queue.dropped, f"{queue.dropped} are counted: {found}")
            row.add(site.judged(), recovery)
            row.faults += referrer.faults
    return row


def speak_through(lax: Lax, site: Site) -> None:
    """Have the daemon speak to the broker that filters nothing, and take many messages at once."""
    text = site.config.read_text()
    site.config.write_text(text.replace(f"port = {site.broker.port}", f"port = {lax.port}"))
    site.set_keys("broker", "receive_maximum = 40")


def refer_to_what_comes_later(site: Site, referrer: Referrer) -> Path:
    """Refer to a film that is not there yet; returns its place, beside which it waits."""
    data = f"comes later {len(site.accepted)} {site.folder}".encode() * 20
    late = site.inbox / f".{sha256(data)[:12]}.part"
    late.with_suffix(".tmp").write_bytes(data)
    referrer.refer(data, late.name, there=False)
    return late


def outlive_the_deadly(row: Row, site: Site, queue: Queue, deaths: Path) -> None:
    """Start again and again until a request and a command that end the daemon are refused."""
    queue.put(Toxic(REFERENCE, json.dumps({"name": DEADLY}).encode(), scored=False))
    queue.put(of_command(DEADLY, {DEADLY: True}))
    site.give_some(2)
    starts, limit = 0, time.monotonic() + 120
    while not (queue.gone() and site.accepted.keys() <= site._answered()):
        if not site.running:
            starts += 1
            site.start(deaths=str(deaths))
        assert time.monotonic() < limit, site.state_of_things()
        time.sleep(0.02)
    ended = deaths.read_text().split()
    row.expect(len(ended) == len(set(ended)), "no message ends it twice")
    row.expect(1 <= len(ended) == starts - 1, f"ended by these only: {len(ended)} of {starts - 1}")
    site.stop()


SCENARIOS = (unworkable,)
