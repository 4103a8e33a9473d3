"""Messages are given to whoever subscribes their topics, while topics come and go."""

import pytest

from edge.health import Health
from edge.mqtt import subscriptions
from edge.mqtt.connection import Incoming
from edge.mqtt.subscriptions import Subscriptions


def test_a_late_message_of_a_topic_that_was_fetched_is_acknowledged_while_the_next_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known, acknowledged = Subscriptions(Health()), list[str]()
    for topic in ("one", "two"):
        known.add(topic, lambda _: pytest.fail("it is of another topic"), None, retained=False)

    def matches(_filter: str, _topic: str) -> bool:
        known._handlers["model/available/2"] = lambda _: None  # as the thread does that fetches
        return False

    monkeypatch.setattr(subscriptions, "topic_matches_sub", matches)
    late = Incoming(
        topic="model/available/1",
        payload=b"chunk",
        retained=True,
        response_topic=None,
        correlation=None,
        acknowledge=lambda: acknowledged.append("late"),
        stale=lambda: False,
    )
    known.dispatch(late)
    assert acknowledged == ["late"]
