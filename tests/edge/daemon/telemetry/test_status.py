"""`status` over MQTT, where the broker hangs up on it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.contract import messages
from edge.daemon.telemetry import status
from edge.daemon.telemetry.status import CHANCE_RETRY_S, HUNG_UP_RETRY_S, StatusPublisher
from edge.health import Health
from edge.mqtt.connection import Protocol
from edge.mqtt.errors import HungUpError
from edge.mqtt.topics import Topics
from tests.support.contract_page import examples

REPORT = messages.Health.model_validate(examples("mammo.health/1")[0])


class Line:
    """A broker that hangs up on `status` as often as told."""

    connected, protocol = True, Protocol.V5

    def __init__(self, hang_ups: int) -> None:
        self.hang_ups = hang_ups
        self.tries = 0

    def publish(self, topic: str, _payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        assert (retain, qos) == (topic.endswith("/status"), int(topic.endswith("/status")))
        if retain:
            self.tries += 1
            if self.tries <= self.hang_ups:
                msg = "broker: hung up instead of a PUBACK"
                raise HungUpError(msg)


@pytest.mark.parametrize(
    ("taken_before", "silence_s"), [(False, HUNG_UP_RETRY_S), (True, CHANCE_RETRY_S)]
)
def test_after_two_hang_ups_the_results_have_the_connection_for_a_while(
    monkeypatch: pytest.MonkeyPatch, *, taken_before: bool, silence_s: float
) -> None:
    """Briefly, where it took one before: it may only have been restarted twice."""
    now, health, line = 1000.0, Health(), Line(hang_ups=0 if taken_before else 2)
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=lambda: now))
    mqtt = StatusPublisher(cast("Any", line), Topics("mammo/v1/a/b"), health, lambda: REPORT, 60.0)
    if taken_before:
        mqtt.turn(changed=False)
        line.hang_ups, line.tries = 2, 0
    for _ in range(5):
        mqtt.turn(changed=True)
    assert (line.tries, health.reasons) == (
        2,
        ["broker: it hangs up on our status, which it is told only now and then: check its ACL"],
    )
    now += silence_s - 0.1
    mqtt.turn(changed=True)
    assert line.tries == 2
    now += 0.2
    mqtt.turn(changed=False)
    assert (line.tries, health.reasons) == (3, [])
