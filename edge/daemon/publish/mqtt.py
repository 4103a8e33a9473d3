"""Results to the broker: to `result` for everyone, or to the requester's response topic."""

from collections.abc import Callable, Sequence

from edge.health import Cause
from edge.mqtt.client import MqttClient
from edge.mqtt.errors import RefusedError
from edge.mqtt.topics import Topics
from edge.storage.ledger.exam_sinks import EXAM
from edge.storage.ledger.outbox import Delivery
from edge.storage.ledger.records import REPLY


class MqttSink:
    """
    Publishes results at QoS 1 and waits for the PUBACK.

    Args:
        broker: the connection.
        topics: those of this device.
        shrink: makes a payload smaller, for a broker that refuses its size.
    """

    name: str = "mqtt"
    takes: Sequence[str] = ("mqtt",)
    unavailable: Cause = Cause.MQTT_UNAVAILABLE
    refused: Cause = Cause.MQTT_REFUSED

    def __init__(
        self, broker: MqttClient, topics: Topics, shrink: Callable[[bytes], bytes]
    ) -> None:
        self._broker = broker
        self._shrink = shrink
        self._topic = topics.result
        self._refused_seq: int | None = None
        """The number of the last result that was refused with its heat map."""

    def send(self, delivery: Delivery) -> None:
        """Send a result; if it is refused, send it once more without its heat map."""
        topic = (
            delivery.response_topic
            if delivery.sink == REPLY and delivery.response_topic
            else self._topic
        )
        if self._refused_seq != delivery.seq:
            try:
                self._broker.publish(topic, delivery.payload, correlation=delivery.correlation)
            except RefusedError:
                if len(self._shrink(delivery.payload)) >= len(delivery.payload):
                    raise
                self._refused_seq = delivery.seq  # it may have been refused by a hang-up
            else:
                return
        smaller = self._shrink(delivery.payload)
        self._broker.publish(topic, smaller, correlation=delivery.correlation)


class ExamSink(MqttSink):
    """Publishes results of exams, which have no map to go without."""

    name = "exam"
    takes = (EXAM,)
    unavailable = Cause.EXAMS_UNAVAILABLE
    refused = Cause.EXAMS_REFUSED

    def __init__(self, broker: MqttClient, topics: Topics) -> None:
        super().__init__(broker, topics, lambda payload: payload)
        self._topic = topics.exam


class ReplySink(MqttSink):
    """Publishes replies, each on the response topic of its request."""

    takes = (REPLY,)
    unavailable = Cause.REPLIES_UNAVAILABLE
    refused = Cause.REPLIES_REFUSED
