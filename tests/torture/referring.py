"""Send references to films as a clinic would, and again if a film comes too late."""

import json
import math
import time
from dataclasses import dataclass
from typing import Any

from edge.contract.reference import NO_SUCH_FILE
from edge.daemon.intake.references import WAIT_S
from tests.support.rig import TOPICS, sha256, until
from tests.torture.site import Site


@dataclass(slots=True)
class Asked:
    """One film that is referred to, and what was sent for it."""

    image_id: str
    request: bytes
    name: str
    tries: int = 0
    sent_at: float = 0.0
    came_at: float = math.inf
    """When its film was in the inbox; the time of the last request above it."""
    answered: bool = False


class Referrer:
    """
    An honest sender of references.

    Args:
        site: that it sends to.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._asked: dict[str, Asked] = {}
        """By response topic."""
        self._looked_at = 0
        self.faults: list[str] = []
        """What came that answers none of its requests, or refuses one without need."""

    def refer(self, data: bytes, name: str, *, there: bool = True) -> None:
        """Send a reference to a film that is in the inbox, or comes later; it must be answered."""
        image_id = sha256(data)
        request = json.dumps({"name": name, "sha256": image_id}).encode()
        topic = f"mammo/v1/demo/ws/referrer/{image_id[:12]}"
        self._asked[topic] = Asked(image_id, request, name)
        if there:
            self.came(name)
        self._site.accepted[image_id] = True
        self._send(topic)

    def came(self, name: str) -> None:
        """Note that a film that was referred to is in the inbox."""
        for one in self._asked.values():
            if one.name == name:
                one.came_at = time.monotonic()

    def await_answers(self) -> None:
        """Wait until each film is answered, and ask again for those that came too late."""
        until(self.all_answered, "references are answered", self._site.state_of_things)

    def all_answered(self) -> bool:
        """Tell if each film is answered; one that came too late is asked for again."""
        assert self._site.subscriber is not None
        for message in list(self._site.subscriber.messages)[self._looked_at :]:
            self._looked_at += 1
            if message.topic in self._asked:
                correlation = getattr(message.properties, "CorrelationData", None)
                self._hear(message.topic, correlation, json.loads(message.payload))
        return all(one.answered for one in self._asked.values())

    def _hear(self, topic: str, correlation: bytes | None, answer: dict[str, Any]) -> None:
        one = self._asked[topic]
        ours = correlation in [_correlation(one, number) for number in range(one.tries)]
        if ours and answer["image_id"] == one.image_id:
            one.answered = True
        elif ours and _rightly_refused(one, answer):
            self._site.accepted[answer["image_id"]] = False  # the request stands in for the film
            if correlation == _correlation(one, one.tries - 1):
                self._send(topic)
        else:
            self.faults.append(f"{topic} by {correlation!r}: {answer['outcome']} {answer['gate']}")

    def _send(self, topic: str) -> None:
        assert self._site.subscriber is not None
        one = self._asked[topic]
        correlation = _correlation(one, one.tries)
        one.tries, one.sent_at = one.tries + 1, time.monotonic()
        self._site.subscriber.publish(f"{TOPICS}/request/ref", one.request, topic, correlation)


def _correlation(one: Asked, number: int) -> bytes:
    return f"{one.image_id[:12]} {number}".encode()


def _rightly_refused(one: Asked, answer: dict[str, Any]) -> bool:
    """Tell if a request was refused as its film did not come in time; no kill is a reason."""
    said = " ".join(answer["gate"]["reasons"])
    late = one.came_at - one.sent_at > WAIT_S and NO_SUCH_FILE in said
    return answer["image_id"] == sha256(one.request) and late
