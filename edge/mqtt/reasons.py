"""Words for the reasons with which a broker refuses or ends a connection (MQTT 5, 2.4)."""

from collections.abc import Mapping
from typing import Final

from paho.mqtt.reasoncodes import ReasonCode

TAKEN_OVER: Final = 142
UNSUPPORTED_VERSION: Final = 132
AT_ONE_MESSAGE: Final = frozenset({144, 149, 153, 154, 155})
"""Codes of DISCONNECT that blame a message: sending the same one again will not help."""
WORDS: Final[Mapping[int, str]] = {
    128: "it gives no reason",
    129: "it could not read a packet of ours",
    130: "it found a packet of ours against the protocol",
    131: "a rule of its own stands against it",
    UNSUPPORTED_VERSION: "it does not speak this version of MQTT",
    133: "it does not take our client id: set [broker] client_id",
    134: "user name or password are wrong",
    135: "we are not authorised: check its access rules",
    136: "it is not available",
    137: "it is busy",
    138: "it has banned us",
    139: "it shuts down",
    140: "it wants another way of authentication",
    141: "it heard nothing of us for too long: the network, or [broker] keepalive_s",
    TAKEN_OVER: "another client with our client id took our place: set [broker] client_id",
    143: "it finds a topic that we subscribe invalid",
    144: "it finds a topic that we publish to invalid",
    147: "it was sent more at a time than it takes",
    148: "it was sent a topic alias that it does not know",
    149: "a packet of ours is too large for it",
    150: "it was sent too much in too short a time",
    151: "a quota of it is used up",
    152: "somebody who runs it ended the connection",
    153: "it finds a payload of ours ill-formed",
    154: "it keeps no retained messages",
    155: "it does not take our quality of service",
    156: "it asks us to use another server for now: set [broker] host",
    157: "it has moved to another server: set [broker] host",
    158: "it knows no shared subscriptions: unset [intake] shared_group",
    159: "we connected too often in too short a time",
    160: "a connection may last no longer",
    161: "it knows no subscription identifiers",
    162: "it knows no subscriptions with wildcards",
}
"""The reason by its code, as a clause about the broker, with the remedy where there is one."""


def in_words(reason: ReasonCode | None) -> str:
    """Return a clause for the log and `status`: what the broker said, by the standard's name."""
    if reason is None:
        return "no answer"
    words = WORDS.get(reason.value)
    return f"{reason}: {words}" if words else str(reason)
