"""Names of all topics: those of a device, those that devices share, and Home Assistant's."""

import unicodedata
from dataclasses import dataclass
from typing import Final, Self

from edge.config.settings import Device

ROOT: Final = "mammo/v1"
OWN: Final = frozenset(
    {
        "status",
        "health",
        "info",
        "result",
        "exam",
        "request",
        "command",
        "shadow",
        "model",
        "feedback",
    }
)
"""First levels below a device's prefix that are its own, and so no place for a reply."""
MOST_BYTES: Final = 256
"""The longest response topic in UTF-8; some brokers take no longer ones."""
MOST_LEVELS: Final = 16
"""The most levels of a response topic: some brokers end the connection at deep ones."""
COMMANDS: Final = (
    "replay",
    "reload",
    "model/list",
    "model/install",
    "model/activate",
    "model/rollback",
)
"""All commands that a device can be sent."""
FEEDBACK: Final = "feedback"
"""A verdict, which is taken and answered like a command, on a topic of its own."""


@dataclass(frozen=True, slots=True)
class Topics:
    """
    The topics of one device.

    Args:
        prefix: `mammo/v1/<site>/<device>`.
    """

    prefix: str

    @classmethod
    def of(cls, device: Device) -> Self:
        """Return the topics of the device that a configuration describes."""
        return cls(f"{ROOT}/{device.site}/{device.name}")

    @property
    def status(self) -> str:
        """The retained state of the device, and its last will."""
        return f"{self.prefix}/status"

    @property
    def health(self) -> str:
        """Counters, queue and versions, from time to time."""
        return f"{self.prefix}/health"

    @property
    def info(self) -> str:
        """The retained facts about the device: versions, model, configuration, audit log, clock."""
        return f"{self.prefix}/info"

    @property
    def result(self) -> str:
        """Results that have no response topic of their own."""
        return f"{self.prefix}/result"

    @property
    def exam(self) -> str:
        """Results of exams."""
        return f"{self.prefix}/exam"

    @property
    def shadow_result(self) -> str:
        """Results of a second model."""
        return f"{self.prefix}/shadow/result"

    @property
    def request_image(self) -> str:
        """Images to examine."""
        return f"{self.prefix}/request/image"

    @property
    def request_ref(self) -> str:
        """Names of files in the inbox to examine."""
        return f"{self.prefix}/request/ref"

    @property
    def model_available(self) -> str:
        """The retained announcement of a bundle; its chunks are retained below."""
        return f"{self.prefix}/model/available"

    @property
    def feedback(self) -> str:
        """Verdicts on images and exams."""
        return f"{self.prefix}/{FEEDBACK}"

    @property
    def feedback_ack(self) -> str:
        """Answers to verdicts."""
        return f"{self.feedback}/ack"

    def command(self, name: str) -> str:
        """Return the topic of a command, or of verdicts."""
        return self.feedback if name == FEEDBACK else f"{self.prefix}/command/{name}"

    def command_ack(self, name: str) -> str:
        """Return the topic of the answer to a command, or to a verdict."""
        return f"{self.command(name)}/ack"


def shared_request_image(site: str) -> str:
    """Return the topic of images that the devices of a site share."""
    return f"{ROOT}/{site}/request/image"


def discovery(prefix: str, site: str, device: str) -> str:
    """Return the topic by which Home Assistant discovers a device, below its own prefix."""
    return f"{prefix}/device/{site}/{device}/config"


def why_not_answered(topic: str, prefix: str) -> str | None:
    """
    Say why a response topic that a request names is not used; None if it is.

    Args:
        topic: from a stranger.
        prefix: `[publish] response_prefix`.
    """
    if len(topic) > MOST_BYTES or len(topic.encode("utf-8", "replace")) > MOST_BYTES:
        return f"longer than {MOST_BYTES} bytes"
    if topic.count("/") >= MOST_LEVELS:
        return f"more than {MOST_LEVELS} levels"
    if any(unicodedata.category(one) in {"Cc", "Cs", "Cn"} for one in topic):
        return "control characters, or no characters at all"
    if not {"#", "+"}.isdisjoint(topic):
        return "wildcards"
    if not topic.startswith(prefix) or topic.startswith("$"):
        return "another prefix"
    return "a topic of a device" if is_own(topic) else None


def is_own(topic: str) -> bool:
    """Return True for a topic that some device publishes or subscribes, so no response topic."""
    levels = topic.split("/")
    if levels[:2] != ROOT.split("/"):
        return False
    return levels[3:4] == ["request"] or not OWN.isdisjoint(levels[4:5])
