"""An upgrade that refuses an installed bundle starts with the shipped one, whatever was chosen."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge.config.settings import Settings
from edge.daemon.wiring.opener import Opener
from edge.daemon.workers.servable import open_store
from edge.errors import ModelError
from edge.health import Cause, Health, Phase
from edge.models import manifest
from edge.models.active import shipped_bundle
from edge.models.signature import sign
from tests.support.bundles import proved


def chosen(tmp_path: Path, **model: object) -> Settings:
    """Settings with a state folder of the test's own and the key `clinic.pem`."""
    fields = {"keys": tmp_path / "keys", **model}
    return Settings.model_validate({"state": {"path": tmp_path / "state"}, "model": fields})


@pytest.mark.usefixtures("store")  # it makes the key
@pytest.mark.parametrize("choice", [{"operating_point": "ours"}, {"backend": "edgetpu"}])
def test_a_bundle_of_an_older_preparation_gives_way_to_the_shipped_one_and_the_reason_is_told(
    tmp_path: Path,
    made: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    choice: dict[str, str],
) -> None:
    settings = chosen(tmp_path, **choice)
    older = made("0.9")
    fields = json.loads((older / "bundle.json").read_text())
    fields["preprocess_version"] -= 1
    (older / "bundle.json").write_text(json.dumps(fields))
    sign(older, tmp_path / "clinic.pem")
    with monkeypatch.context() as before_the_upgrade:
        before_the_upgrade.setattr(manifest, "PREPROCESS_VERSION", fields["preprocess_version"])
        installed = open_store(settings)
        installed.activate(installed.install(older, proved).bundle_id)
    health = Health()
    health.enter(Phase.READY)
    with ExitStack() as stack:
        serving = Opener(settings, stack).first(health)
        stack.callback(serving.workers.close)
        assert serving.bundle.folder == shipped_bundle()
    ((reason, cause),) = health.reasons_and_causes()
    assert cause is Cause.MODEL_UNUSABLE
    assert "prepares images as version" in reason


def test_a_choice_that_the_shipped_model_itself_cannot_meet_is_refused(tmp_path: Path) -> None:
    settings = chosen(tmp_path, operating_point="ours")
    with ExitStack() as stack, pytest.raises(ModelError, match="ours"):
        Opener(settings, stack).first(Health())
