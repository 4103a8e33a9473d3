"""
Four ways in which a bundle may be wrong, on the command line and over MQTT: refused with the
reason, and the old model goes on.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.cli import main
from edge.models.active import shipped_bundle
from edge.models.signature import sign
from tests.support.keys import key_pair
from tests.support.rig import TOPICS, Rig, film
from tests.support.tools import need

Spoil: TypeAlias = Callable[[Path, Callable[[], object]], None]


def flip_a_bit(folder: Path, sign_it: Callable[[], object]) -> None:
    sign_it()
    data = bytearray((folder / "known/1.png").read_bytes())
    data[100] ^= 1
    (folder / "known/1.png").write_bytes(data)


def sign_something_else(folder: Path, sign_it: Callable[[], object]) -> None:
    sign_it()
    change(folder, intended_use="another")


def give_another_answer(folder: Path, sign_it: Callable[[], object]) -> None:
    models = manifest(folder)["models"]
    models[manifest(folder)["default_model"]]["known_answers"][0]["raw"] = 0.999
    change(folder, models=models)
    sign_it()


def have_another_shape(folder: Path, sign_it: Callable[[], object]) -> None:
    change(folder, outputs=manifest(folder)["outputs"] | {"probability": [1, 7]})
    sign_it()


FAULTS: Final[tuple[tuple[Spoil, str], ...]] = (
    (flip_a_bit, "known/1.png: sha256 is "),
    (sign_something_else, "was changed after it was signed"),
    (give_another_answer, "expected 0.999000 within"),
    (have_another_shape, "the manifest says (1, 7)"),
)


def manifest(folder: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads((folder / "bundle.json").read_text())


def change(folder: Path, **fields: object) -> None:
    (folder / "bundle.json").write_text(json.dumps(manifest(folder) | fields))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A daemon that takes what `clinic.pem` signed, from the folder `bundles`, over MQTT too."""
    need("mosquitto", "mosquitto")
    folder = tmp_path_factory.mktemp("refused")
    key_pair(folder, "clinic")
    config = (
        f'\n[model]\nkeys = "{folder}/keys"\ninstall_from = '
        f'"{folder}/bundles"\n[intake]\ncommands = ["model/install", '
        '"model/list"]\n'
    )
    with (
        Mosquitto(folder / "mosquitto") as broker,
        Subscriber(broker.port) as subscriber,
        Rig(folder / "edge", broker.port, subscriber, config) as rig,
    ):
        rig.await_introduction()
        yield rig
        rig.stop()


def by_command_line(site: Rig, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said, with exit status 78."""
    assert (
        main.main(["model", "install", str(folder), "--activate", "--config", str(site.config)])
        == 78
    )
    return capsys.readouterr().err


def over_mqtt(site: Rig, folder: Path, _: object) -> str:
    answer = ask(site, "install", {"folder": folder.name})
    assert (answer["ok"], answer["command"]) == (False, "model/install")
    return str(answer["error"])


def ask(site: Rig, command: str, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a command."""
    assert site.subscriber is not None
    before = len(site.subscriber.under(f"{command}/ack"))
    site.subscriber.publish(f"{TOPICS}/command/model/{command}", json.dumps(request).encode())
    return site.subscriber.wait_under(f"{command}/ack", before + 1)[-1]


@pytest.mark.parametrize("way", [by_command_line, over_mqtt])
@pytest.mark.parametrize(("spoil", "why"), FAULTS, ids=[spoil.__name__ for spoil, _ in FAULTS])
# fixtures
def test_a_bundle_that_is_wrong_is_refused_with_the_reason_and_the_old_model_goes_on(  # noqa: PLR0913, PLR0917
    site: Rig,
    spoil: Spoil,
    why: str,
    way: Callable[..., str],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = site.folder.parent / "bundles" / request.node.name.replace("[", "-").strip("]")
    shutil.copytree(shipped_bundle(), folder, copy_function=link_or_copy)
    change(folder, version="next")
    spoil(folder, lambda: sign(folder, site.folder.parent / "clinic.pem"))
    assert why in way(site, folder, capsys)
    assert [row["bundle"] for row in ask(site, "list", {})["models"]] == ["shipped"]
    number = site.status()["queue"]["last_seq"]
    assert (
        site.result_of(site.drop(f"{number}.png", film(number)))["model"]["version"]
        == manifest(shipped_bundle())["version"]
    )


def link_or_copy(source: str, target: str) -> None:
    """The model's bytes need not be there twice; what is changed is copied."""
    if source.endswith(".tflite"):
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
    else:
        shutil.copy2(source, target)
