"""
Run `mammo-edge` and note the time of each result's PUBACK: `python stamped.py STAMPS PROGRAM run
...`.

Nothing else is changed.
"""

import json
import sys
import time
from pathlib import Path

from edge.cli import main as cli
from edge.daemon.publish.mqtt import MqttSink
from edge.storage.ledger.outbox import Delivery


def main() -> int:
    """Be the daemon; append `<image id> <CLOCK_MONOTONIC in seconds>` to STAMPS for each PUBACK."""
    # open as long as the daemon runs
    stamps = Path(sys.argv[1]).open("a", buffering=1, encoding="ascii")  # noqa: SIM115
    ours = MqttSink.send

    def send(self: MqttSink, delivery: Delivery) -> None:
        ours(self, delivery)
        now = time.monotonic()
        stamps.write(f"{json.loads(delivery.payload)['image_id']} {now!r}\n")

    MqttSink.send = send  # type: ignore[method-assign]
    return cli.main(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
