"""
The MQTT contract for programs, as AsyncAPI 3.0.

`python -m deploy.tools.asyncapi` prints docs/reference/asyncapi.yaml. Topics, quality of service
and limits come from the code and its settings' defaults, schemas from `edge.contract`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from deploy.tools.asyncapi.channels import CHUNK, DEVICE, IMAGE, NOTHING, RESULT, Channel, channels
from edge import NOTICE, __version__
from edge.config.settings import Settings
from edge.contract import messages
from edge.contract.result import on_one_line
from edge.daemon.telemetry.status import offline

PARAMETERS: Final = {
    "site": {"description": "The clinic, `[device] site`."},
    "device": {"description": "This device, `[device] name`."},
    "sha256": {"description": "Of all the bytes that are announced."},
    "number": {"description": "The chunk's, from 0."},
    "prefix": {
        "description": "`[homeassistant] prefix`.",
        "default": Settings().homeassistant.prefix,
    },
}
FOREIGN: Final = {
    RESULT: {
        "schemaFormat": "application/schema+json;version=2020-12",
        "schema": {"$ref": "./result.schema.json"},
    },
    IMAGE: {
        "type": "string",
        "format": "binary",
        "description": "The bytes of the file, nothing else.",
    },
    CHUNK: {
        "type": "string",
        "format": "binary",
        "description": "The bundle's files, one after the other, in pieces of `chunk_bytes`.",
    },
    NOTHING: {"type": "string", "maxLength": 0},
    "Discovery": {
        "type": "object",
        "description": "See Home Assistant's MQTT discovery, device discovery payload.",
    },
}


def document() -> dict[str, Any]:
    """Return the document."""
    found = channels()
    models = {
        payload
        for channel in found.values()
        for payload in channel.payloads
        if not isinstance(payload, str)
    }
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "validation") for model in ordered], ref_template="#/components/schemas/{model}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "mammo-edge",
            "version": __version__,
            "description": (
                f"Mammograms in, results out. What may be relied on: contract.md.\n\n{NOTICE}"
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(Settings()),
        "channels": {name: _channel(channel) for name, channel in found.items()},
        "operations": {
            name: operation
            for name, channel in found.items()
            for name, operation in _operations(name, channel)
        },
        "components": {
            "messages": {
                name: _message(name)
                for name in sorted(
                    {_name(p) for channel in found.values() for p in channel.payloads}
                )
            },
            "parameters": PARAMETERS,
            "schemas": _tidy(on_one_line(schemas["$defs"])),
        },
    }


def _servers(settings: Settings) -> dict[str, Any]:
    broker = settings.broker
    said = (
        "The clinic's; `[broker]` of the configuration. With TLS: "
        "`secure-mqtt`, port 8883. MQTT 3.1.1 where it knows no 5."
    )
    mqtt = {
        "clientId": "mammo-edge-{site}-{device}",
        "cleanSession": False,
        "keepAlive": broker.keepalive_s,
        "sessionExpiryInterval": broker.session_expiry_s,
        "lastWill": {
            "topic": DEVICE.status,
            "qos": 1,
            "retain": True,
            "message": offline().decode(),
        },
        "bindingVersion": "0.2.0",
    }
    return {
        "broker": {
            "host": f"{broker.host}:{broker.port}",
            "protocol": "mqtt",
            "protocolVersion": "5",
            "description": said,
            "bindings": {"mqtt": mqtt},
        }
    }


def _channel(channel: Channel) -> dict[str, Any]:
    names = [_name(payload) for payload in channel.payloads]
    parameters = {
        key: {"$ref": f"#/components/parameters/{key}"}
        for key in re.findall(r"{(\w+)}", channel.address or "")
    }
    return {
        "address": channel.address,
        "description": channel.said,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        **({"parameters": parameters} if parameters else {}),
    }


def _operations(name: str, channel: Channel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the operation of the device, which publishes on `send`, and names its reply."""
    operation: dict[str, Any] = {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{name}"},
        "bindings": {
            "mqtt": {"qos": channel.qos, "retain": channel.retain, "bindingVersion": "0.2.0"}
        },
    }
    if channel.replies:
        operation["reply"] = {"channel": {"$ref": f"#/channels/{channel.replies}"}}
    yield f"{channel.action}{name[0].upper()}{name[1:]}", operation


def _name(payload: type[BaseModel] | str) -> str:
    return payload if isinstance(payload, str) else payload.__name__


def _message(name: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": name,
        "payload": FOREIGN.get(name, {"$ref": f"#/components/schemas/{name}"}),
    }
    mqtt: dict[str, Any] = {"bindingVersion": "0.2.0"}
    if name in {IMAGE, messages.Reference.__name__}:
        mqtt["responseTopic"] = {
            "type": "string",
            "description": "Where the result goes, and only there; see contract.md.",
        }
    if name in {IMAGE, messages.Reference.__name__, RESULT}:
        mqtt["correlationData"] = {"type": "string", "description": "Comes back as it was sent."}
    kind = {"contentType": "application/octet-stream"} if name in {IMAGE, CHUNK} else {}
    return message | kind | ({"bindings": {"mqtt": mqtt}} if len(mqtt) > 1 else {})


def _tidy(tree: Any) -> Any:  # noqa: ANN401 - a JSON tree
    """Return a schema without pydantic's titles, which repeat the names."""
    if isinstance(tree, Mapping):
        return {
            key: _tidy(below)
            for key, below in tree.items()
            if not (key == "title" and isinstance(below, str))
        }
    return [_tidy(below) for below in tree] if isinstance(tree, list) else tree


def render() -> str:
    """Return the document as YAML."""
    head = "# Written from the code by `make docs`: do not edit. For people: contract.md.\n"
    return head + str(yaml.safe_dump(document(), sort_keys=False, width=120, allow_unicode=True))


if __name__ == "__main__":
    print(render(), end="")
