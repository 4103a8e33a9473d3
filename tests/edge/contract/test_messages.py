"""Messages are published as docs/reference/contract.md shows them, to the byte."""

import json

import pytest
from pydantic import BaseModel, ValidationError

from edge.contract import messages
from edge.mqtt.topics import COMMANDS
from tests.support.contract_page import examples


@pytest.mark.parametrize(
    ("schema", "model"), [("mammo.status/1", messages.Online), ("mammo.health/1", messages.Health)]
)
def test_a_message_is_published_as_the_page_shows_it(schema: str, model: type[BaseModel]) -> None:
    shown = examples(schema)[0]
    payload = json.dumps(shown, separators=(",", ":")).encode()
    assert messages.encode(model.model_validate(shown)) == payload


def test_letters_beyond_ascii_are_escaped_as_ever() -> None:
    refusal = messages.Refusal(schema=messages.ACK, command="x", ok=False, error="Größe")
    assert b"Gr\\u00f6\\u00dfe" in messages.encode(refusal)


def test_a_field_that_the_contract_does_not_know_is_not_published() -> None:
    shown = examples("mammo.status/1")[0]
    with pytest.raises(ValidationError, match="patient"):
        messages.Online.model_validate(shown | {"patient": "x"})


def test_every_command_has_a_message_and_an_answer() -> None:
    assert tuple(messages.COMMANDS) == COMMANDS
