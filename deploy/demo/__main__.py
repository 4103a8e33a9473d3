"""
Send nine real mammograms through the real daemon.

Eight DICOM files are dropped into its inbox, one JPEG is sent over MQTT. `make demo` runs this;
`make run` does the same set-up and stays up. Everything is below one temporary folder and needs no
root.
"""

import argparse
import hashlib
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import MQTTMessage

from deploy.demo.brokers import Broker, Embedded, Mosquitto, best_broker
from deploy.demo.daemon import TOPICS, Daemon
from deploy.demo.films import cases, truth_of
from deploy.demo.live import stay
from deploy.demo.page import Page
from deploy.demo.subscriber import Subscriber
from deploy.demo.table import HEAD, UNKNOWN, Sent, row

NINTH: Final = Path("tests/data/cbis-ddsm-malignant-cc.jpg")
REPLY_TOPIC: Final = "mammo/v1/demo/workstation/reply"
CORRELATION: Final = b"the ninth mammogram"
READY_S: Final = 240.0
RESULTS_S: Final = 240.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns 0 if nine different results were received."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="drop nothing, stay up until Ctrl-C")
    parser.add_argument(
        "--broker",
        choices=["auto", "mosquitto", "embedded"],
        default="auto",
        help="default: mosquitto where there is one",
    )
    arguments = parser.parse_args(argv)
    # `make run &` of a shell without job control begins with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that a demo that is stopped stops what it started
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="mammo-edge-", ignore_cleanup_errors=True)
            )
        )
        broker = stack.enter_context(_broker(arguments.broker, folder / "broker"))
        print(f"broker: {broker.name} on 127.0.0.1:{broker.port}")
        subscriber = stack.enter_context(Subscriber(broker.port))
        started = time.monotonic()
        daemon = Daemon(folder, broker.port)
        page = Page(daemon) if arguments.stay else None
        stack.enter_context(daemon)
        if not _wait_until_ready(subscriber, daemon):
            return 1
        print(
            f"daemon: ready {time.monotonic() - started:.1f} s after "
            f"its start, all its files below {folder}"
        )
        if page is None:
            return _show(subscriber, daemon)
        return stay(subscriber, daemon, broker, stack.enter_context(page))


def _broker(choice: str, folder: Path) -> Broker:
    if choice == "auto":
        return best_broker(folder)
    return Mosquitto(folder) if choice == "mosquitto" else Embedded(folder)


def _wait_until_ready(subscriber: Subscriber, daemon: Daemon) -> bool:
    def ready_or_gone(messages: Sequence[MQTTMessage]) -> bool:
        states = [
            json.loads(message.payload).get("state")
            for message in messages
            if message.topic == f"{TOPICS}/status"
        ]
        return "ready" in states or not daemon.running

    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:  # in short waits: a daemon that has ended sends nothing
        try:
            subscriber.wait_for(ready_or_gone, timeout_s=0.5)
            break
        except TimeoutError:
            continue
    if daemon.running and ready_or_gone(subscriber.messages):
        return True
    what = f"is not ready after {READY_S:.0f} s" if daemon.running else "ended by itself"
    print(f"the daemon {what}; its last words:\n{daemon.log.read_text()[-2000:]}")
    return False


def _show(subscriber: Subscriber, daemon: Daemon) -> int:
    sent = _send(subscriber, daemon)
    print(
        f"sent: {len(sent)} mammograms, to a folder and over "
        "MQTT; results as they come over MQTT:\n"
    )
    print(HEAD)
    results = _receive(subscriber, sent)
    code = daemon.stop()
    left = daemon.left_over()
    print(
        f"\nstopped by SIGTERM: exit code {code}, {len(results)} results "
        f"received, {len(left)} images left in inbox and spool"
    )
    problems = _problems(results, expected=len(sent), code=code, left=len(left))
    for problem in problems:
        print(f"NOT AS IT SHOULD BE: {problem}")
    if problems:
        print(daemon.log.read_text()[-3000:])
    print("Research software, not a medical device.\nnext: make run")
    return 1 if problems else 0


def _send(subscriber: Subscriber, daemon: Daemon) -> dict[str, Sent]:
    """Send all nine; returns them by image id, the SHA-256 of their bytes."""
    sent = {}
    for file, name, truth in cases():
        sent[hashlib.sha256(file.read_bytes()).hexdigest()] = Sent(name, "folder", truth)
        _drop(file, daemon)
    data = NINTH.read_bytes()
    name = NINTH.name.removeprefix("cbis-ddsm-")
    sent[hashlib.sha256(data).hexdigest()] = Sent(name, "mqtt", truth_of(NINTH))
    subscriber.publish(f"{TOPICS}/request/image", data, REPLY_TOPIC, CORRELATION)
    return sent


def _drop(file: Path, daemon: Daemon) -> None:
    """Drop a file as a good sender does: write it under an ignored name, then rename it."""
    part = daemon.inbox / f"{file.name}.part"
    shutil.copyfile(file, part)
    part.rename(daemon.inbox / file.name)


def _receive(subscriber: Subscriber, sent: dict[str, Sent]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for message in subscriber.follow(RESULTS_S):
        if message.topic == f"{TOPICS}/result" or _is_our_reply(message):
            result = json.loads(message.payload)
            results.append(result)
            print(row(result, sent.get(result["image_id"], UNKNOWN)), flush=True)
        if len(results) == len(sent):
            break
    return results


def _is_our_reply(message: MQTTMessage) -> bool:
    if message.topic != REPLY_TOPIC:
        return False
    return (
        message.properties is not None
        and message.properties.json().get("CorrelationData") == CORRELATION.hex()
    )


def _problems(
    results: Sequence[dict[str, Any]], *, expected: int, code: int, left: int
) -> list[str]:
    scores = [result["score"]["raw"] for result in results if result["score"]]
    found = {
        f"{len(results)} results, expected {expected}": len(results) != expected,
        f"{len(results) - len(scores)} were rejected": len(scores) != len(results),
        "two images have the same score": len(set(scores)) != len(scores),
        "two images have the same result id": len({result["result_id"] for result in results})
        != len(results),
        f"the daemon's exit code is {code}": code != 0,
        f"{left} images were left behind": left != 0,
    }
    return [problem for problem, is_so in found.items() if is_so]


if __name__ == "__main__":
    sys.exit(main())
