"""Commands over MQTT: only those that are allowed, and only those that someone gives now."""

import json
import queue
from collections.abc import Mapping
from typing import Any

from paho.mqtt import publish
from paho.mqtt.client import MQTTv5

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.config.settings import Broker as BrokerSettings
from edge.config.settings import Settings
from edge.daemon.control.mqtt import CommandIntake
from edge.daemon.intake.suspects import Suspects
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.mqtt.topics import COMMANDS, Topics
from tests.support.rig import until

PREFIX = "mammo/v1/north/edge-1"


def test_none_is_obeyed_unless_the_configuration_names_it() -> None:
    assert Settings().intake.commands == ()


def test_a_retained_command_and_one_that_is_not_allowed_are_ignored(
    mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    obeyed: queue.Queue[Mapping[str, Any]] = queue.Queue()

    def obey(request: Mapping[str, Any]) -> dict[str, Any]:
        obeyed.put(request)
        return {"results": 0, "last_seq": 0}

    publish.single(
        f"{PREFIX}/command/replay",
        b'{"since": 1}',
        1,
        retain=True,
        port=mosquitto.port,
        protocol=MQTTv5,
    )
    health = Health()
    where = BrokerSettings(host="127.0.0.1", port=mosquitto.port)
    broker = MqttClient(
        where, password=None, client_id="edge", will=None, health=health, max_incoming=2**20
    )
    commands = CommandIntake(
        broker, health, Topics(PREFIX), {"replay": obey}, Suspects(mosquitto.folder)
    )
    broker.start()
    commands.start()

    def ask_all() -> int:
        """Until our subscription stands; what is retained came with it."""
        for name in (*(name for name in COMMANDS if name != "replay"), "replay"):
            subscriber.publish(f"{PREFIX}/command/{name}", json.dumps({"since": 2}).encode())
        return obeyed.qsize()

    try:
        until(ask_all, "obeyed")
        answers = subscriber.wait_under("ack", 1)
    finally:
        commands.stop()
        broker.stop()
    assert {answer["command"] for answer in answers} == {"replay"}
    assert all(obeyed.get_nowait() == {"since": 2} for _ in range(obeyed.qsize()))
