"""Install, activate and roll back as an operator does, with the daemon running."""

import json
import shutil
from pathlib import Path

import pytest

from edge import model_commands as models
from edge.app import shipped_bundle
from edge.errors import ModelError
from edge.settings import Settings, load
from edge.signature import sign
from tests.e2e.rig import Rig, film, run_command
from tests.test_signature import key_pair


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The shipped model under another version, not signed yet."""
    folder = Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))
    change(folder, version="next")
    return folder


def change(folder: Path, **fields: object) -> None:
    (folder / "bundle.json").write_text(json.dumps(json.loads((folder / "bundle.json").read_text()) | fields))


@pytest.fixture
def settings(rig: Rig, tmp_path: Path) -> Settings:
    """The rig's configuration, which takes what `clinic.pem` signed."""
    key_pair(tmp_path, "clinic")
    rig.configure(f'\n[model]\nkeys = "{tmp_path}/keys"\n')
    return load(rig.config, {})


def test_a_signed_model_is_activated_and_rolled_back_without_losing_an_image(
    rig: Rig, settings: Settings, bundle: Path, tmp_path: Path
) -> None:
    rig.ready()
    sign(bundle, tmp_path / "clinic.pem")
    ids = {rig.drop(f"{number}.png", film(number)) for number in range(3)}
    installed = run_command("model", "install", bundle, "--activate", "--json", "--config", rig.config)
    assert installed.returncode == 0, installed.stderr
    assert json.loads(installed.stdout)["previous"] == "shipped"
    assert rig.result_of(rig.drop("after.png", film(99)))["model"]["version"] == "next"
    assert {row["version"]: row["serves"] for row in models.listed(settings)}["next"] == "now"
    for image_id in ids:
        assert rig.result_of(image_id)["score"] is not None
    rig.kill()
    rig.ready()
    assert rig.status()["model"]["version"] == "next"
    assert models.rollback(settings)["version"] != "next"
    assert rig.result_of(rig.drop("back.png", film(100)))["model"]["version"] != "next"


def test_what_is_unsigned_or_does_not_prove_itself_is_refused_with_the_reason(settings: Settings, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not signed"):
        models.install(settings, bundle, activate=True)
    right = json.loads((bundle / "bundle.json").read_text())
    wrong = json.loads(json.dumps(right["models"]))
    wrong["model.tflite"]["known_answers"][0]["raw"] = 0.123456
    for fields, why in (({"models": wrong}, "expected 0.123456"), ({"outputs": right["outputs"] | {"probability": [1, 7]}}, "says .1, 7.")):
        change(bundle, **(right | fields))
        sign(bundle, tmp_path / "clinic.pem")
        with pytest.raises(ModelError, match=why):
            models.install(settings, bundle, activate=True)
    assert [row["bundle"] for row in models.listed(settings)] == ["shipped"]
