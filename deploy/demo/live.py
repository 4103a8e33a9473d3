"""The screen of `make run`: where to drop mammograms, and each result as it comes."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from paho.mqtt.client import MQTTMessage

from deploy.demo.brokers import Broker
from deploy.demo.daemon import TOPICS, Daemon
from deploy.demo.films import SAMPLES, came, known_films
from deploy.demo.page import Page
from deploy.demo.subscriber import Subscriber
from deploy.demo.table import HEAD, row

LOOK_S: Final = 0.5
"""Seconds between looks at the daemon: its end sends no message."""


def stay(subscriber: Subscriber, daemon: Daemon, broker: Broker, page: Page) -> int:
    """Print each result as it comes, until Ctrl-C or the daemon's end."""
    program = Path(sys.executable).with_name("mammo-edge")
    print(
        f"""
the page               {page.address}
drop mammograms into   {daemon.inbox}
samples                {" ".join(map(str, SAMPLES))}
send one with          mosquitto_pub -V 5 -h 127.0.0.1 -p {broker.port} -q 1 \\
                         -t {TOPICS}/request/image -f {SAMPLES[-1]}
subscribe with         mosquitto_sub -V 5 -h 127.0.0.1 -p {broker.port} -v \\
                         -t {TOPICS}/result -t {TOPICS}/status -t {TOPICS}/health
ask how it is          {program} status --config {daemon.config}
its log                tail -f {daemon.log}
Ctrl-C stops everything and removes the folder.

{HEAD}""",
        flush=True,
    )
    try:
        page.show()
        _print_results(subscriber, daemon)
    except KeyboardInterrupt:
        print(f"\nstopped: exit code {daemon.stop()}")
        return 0
    print(f"the daemon ended by itself; its last words:\n{daemon.log.read_text()[-2000:]}")
    return 1


def _print_results(subscriber: Subscriber, daemon: Daemon) -> None:
    """Print each result until the daemon ends; in short waits, for its end sends nothing."""
    seen, known = 0, known_films()
    while daemon.running:
        with suppress(TimeoutError):
            subscriber.wait_for(_more_than(seen), LOOK_S)
        new = subscriber.messages[seen:]
        seen += len(new)
        for message in new:
            if message.topic == f"{TOPICS}/result":
                result = json.loads(message.payload)
                film = came(result, daemon.folder / "state", known)
                print(row(result, film), flush=True)


def _more_than(count: int) -> Callable[[Sequence[MQTTMessage]], bool]:
    return lambda messages: len(messages) > count
