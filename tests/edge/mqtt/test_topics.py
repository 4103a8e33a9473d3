"""Topics that a device calls its own, and those that are left for replies."""

import pytest

from edge.config.settings import Device
from edge.mqtt.topics import Topics, is_own, shared_request_image

OURS = Topics.of(Device(site="north", name="edge-7"))


def test_a_device_s_topics_begin_with_its_site_and_name() -> None:
    assert OURS.status == "mammo/v1/north/edge-7/status"
    assert OURS.command_ack("model/list") == "mammo/v1/north/edge-7/command/model/list/ack"


@pytest.mark.parametrize(
    "topic",
    [
        OURS.status,
        OURS.request_image,
        OURS.model_available,
        OURS.command("replay"),
        f"{OURS.model_available}/0/1",
        shared_request_image("north"),
        "mammo/v1/other/device/result",
    ],
)
def test_a_topic_of_any_device_is_no_place_for_a_reply(topic: str) -> None:
    assert is_own(topic)


@pytest.mark.parametrize(
    "topic", ["mammo/v1/demo/ws/reply", "mammo/v1/north/ws-3/replies/north/edge-7", "elsewhere"]
)
def test_other_topics_are_free_for_replies(topic: str) -> None:
    assert not is_own(topic)
