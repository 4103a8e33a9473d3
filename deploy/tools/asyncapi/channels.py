"""The channels of docs/reference/asyncapi.yaml: every topic, with its messages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel

from edge.contract import messages
from edge.contract.exam import ExamMessage
from edge.contract.feedback import Feedback, FeedbackAnswer
from edge.contract.info import Info
from edge.contract.limits import COMMAND_BYTES, REFERENCE_BYTES
from edge.contract.shadow import ShadowResult
from edge.models.transfer import announcement
from edge.mqtt.topics import COMMANDS, Topics, discovery, shared_request_image

DEVICE: Final = Topics("mammo/v1/{site}/{device}")
RESULT: Final = "Result"
"""The payload whose schema is docs/reference/result.schema.json."""
IMAGE: Final = "Image"
"""A payload of bytes, not JSON."""
CHUNK: Final = "Chunk"
"""A payload of bytes, too."""
AT_QOS_0: Final = "At QoS 0 nothing is promised."
NOTHING: Final = "Nothing"
"""An empty payload, by which a retained message is cleared."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic."""

    action: Literal["send", "receive"]
    """The part of the device."""
    address: str | None
    """None if the sender chooses it."""
    said: str
    payloads: tuple[type[BaseModel] | str, ...]
    """Models, or names of payloads that have none."""
    qos: int = 1
    retain: bool = False
    replies: str | None = None
    """The channel of the answers to these messages."""


def channels() -> dict[str, Channel]:
    """Return every channel, by a name that is used in the document alone."""
    status = (messages.Online, messages.Offline)
    return {
        "status": Channel(
            "send",
            DEVICE.status,
            "How the device is, whenever that changes; last will.",
            status,
            retain=True,
        ),
        "health": Channel(
            "send",
            DEVICE.health,
            "Counters, queue, versions, every `[publish] health_s`.",
            (messages.Health,),
            qos=0,
        ),
        "info": Channel(
            "send",
            DEVICE.info,
            "Versions, model, configuration, audit log and clock, whenever one of them changes.",
            (Info,),
            retain=True,
        ),
        "result": Channel(
            "send",
            DEVICE.result,
            "Every result that has no response topic of its own, in the order of `seq`.",
            (RESULT,),
        ),
        "exam": Channel(
            "send",
            DEVICE.exam,
            "Every revision of an exam's result, in the order of its own `seq`.",
            (ExamMessage,),
        ),
        "reply": Channel(
            "send",
            None,
            "The response topic that a request names: its result, and nothing else; results on one "
            "response topic come in the order of `seq`.",
            (RESULT,),
        ),
        "shadowResult": Channel(
            "send",
            DEVICE.shadow_result,
            "What a second model would have said.",
            (ShadowResult,),
        ),
        "requestImage": Channel(
            "receive",
            DEVICE.request_image,
            f"An image. {AT_QOS_0}",
            (IMAGE,),
            replies="reply",
        ),
        "requestRef": Channel(
            "receive",
            DEVICE.request_ref,
            f"Names a file in the inbox, in at most {REFERENCE_BYTES} bytes. {AT_QOS_0}",
            (messages.Reference,),
            replies="reply",
        ),
        "sharedRequestImage": Channel(
            "receive",
            shared_request_image("{site}"),
            "An image for one device of `[intake] shared_group`.",
            (IMAGE,),
            replies="reply",
        ),
        "homeAssistant": Channel(
            "send",
            discovery("{prefix}", "{site}", "{device}"),
            "Home Assistant's discovery, where enabled.",
            ("Discovery", NOTHING),
            retain=True,
        ),
        "modelAvailable": Channel(
            "receive",
            DEVICE.model_available,
            "Announces a bundle, retained.",
            (announcement.Announcement, NOTHING),
            retain=True,
        ),
        "modelChunk": Channel(
            "receive",
            f"{DEVICE.model_available}/{{sha256}}/{{number}}",
            "A piece of it, retained.",
            (CHUNK, NOTHING),
            retain=True,
        ),
        "feedback": Channel(
            "receive",
            DEVICE.feedback,
            f"A verdict on an image or an exam, in at most {COMMAND_BYTES} bytes.",
            (Feedback,),
            replies="feedbackAck",
        ),
        "feedbackAck": Channel(
            "send",
            DEVICE.feedback_ack,
            "The answer.",
            (FeedbackAnswer, messages.Refusal),
        ),
        **dict(_commands()),
        "doctorAck": Channel(
            "send",
            DEVICE.command_ack("doctor"),
            "Of `mammo-edge doctor`: an answer to nothing.",
            (messages.Answer,),
        ),
    }


def _commands() -> Iterator[tuple[str, Channel]]:
    for name in COMMANDS:
        asked, answered = messages.COMMANDS.get(name, (messages.Command, messages.Answer))
        key = re.sub(r"\W(\w)", lambda match: match[1].upper(), f"command/{name}")
        yield (
            key,
            Channel(
                "receive",
                DEVICE.command(name),
                f"The command `{name}`, in at most {COMMAND_BYTES} bytes.",
                (asked,),
                replies=f"{key}Ack",
            ),
        )
        yield (
            f"{key}Ack",
            Channel(
                "send",
                DEVICE.command_ack(name),
                "The answer.",
                (answered, messages.Refusal),
            ),
        )
