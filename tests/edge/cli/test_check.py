"""`mammo-edge check`: a start's own findings."""

import json
import sys
from pathlib import Path

import pytest

from edge.cli import check
from edge.cli.check import findings
from edge.config.paths import credential_of
from edge.config.settings import Broker, Model, Pacs, Settings, State, Tls
from edge.errors import ConfigError
from edge.mqtt.tls import tls_context
from tests.support.bundles import tiny


def test_an_inbox_that_is_not_there_is_not_promised_to_be_made(tmp_path: Path) -> None:
    assert check._inbox(tmp_path) == ("inbox.path", True, str(tmp_path))
    what, right, detail = check._inbox(tmp_path / "away")
    assert (what, right, "mount it, or make it" in detail) == ("inbox.path", False, True)


def test_a_certificate_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    settings = Settings(broker=Broker(tls=Tls(enabled=True, ca=tmp_path / "none.pem")))
    with pytest.raises(ConfigError, match=r"broker\.tls\.ca: .*none\.pem"):
        tls_context(settings.broker)
    assert any(what == "broker.tls" and not right for what, right, _ in findings(settings))


@pytest.mark.parametrize(
    ("readable", "said"), [(True, "found"), (False, "for root and the service alone")]
)
def test_a_check_says_of_the_password_that_setup_wrote_what_it_can_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, readable: bool, said: str
) -> None:
    stored = credential_of(tmp_path / "left.toml")
    assert stored == tmp_path / "left.password"
    stored.write_text("geheim\n")
    monkeypatch.setattr("edge.config.credentials.os.access", lambda *_: readable)
    assert said in check._password(Settings(), stored)


@pytest.mark.parametrize(("days", "warned"), [(30, True), (182, True), (183, False), (0, False)])
def test_results_kept_for_less_than_183_days_are_warned_of(*, days: int, warned: bool) -> None:
    assert check._retention(days).startswith("warning: ") == warned


@pytest.mark.parametrize("hits", [None, 0.5])
def test_maps_of_a_model_that_points_elsewhere_are_refused_with_found_and_expected(
    hits: float | None, tmp_path: Path
) -> None:
    pacs = Pacs(peer="P@127.0.0.1:104", map=True)
    shipped = Settings(pacs=pacs, state=State(path=tmp_path))
    told = "a picture of each DICOM image's map, whose highest point lay on the lesion of 75.2%"
    assert check._map(shipped).startswith(told)
    bundle = tiny(tmp_path / "bundle", "9.0.0")
    fields = json.loads((bundle / "bundle.json").read_bytes())
    fields["scores"] = {"pointing": {"films": 40, "with_tolerance": {"hits": hits}}} if hits else {}
    (bundle / "bundle.json").write_text(json.dumps(fields))
    poor = shipped.model_copy(update={"model": Model(bundle=bundle)})
    found = "50.0% of 40 malignant test films" if hits else "no scores.pointing"
    with pytest.raises(ConfigError, match=rf"{found}, expected at least 60%: remove the key"):
        check._map(poor)


def test_a_pacs_is_named_and_what_keeps_reports_from_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, away = Pacs(peer="P@127.0.0.1:104"), Pacs(peer="P@pacs:104", tls=True)
    assert check._pacs(here).startswith("a report of each exam to P@127.0.0.1:104, without TLS")
    assert check._pacs(away) == "a report of each exam to P@pacs:104, over TLS"
    with pytest.raises(ConfigError, match="pacs: ca, cert or key: No such file"):
        check._pacs(away.model_copy(update={"ca": tmp_path / "none"}))
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    with pytest.raises(ConfigError, match=r"pacs\.peer: pynetdicom is missing: "):
        check._pacs(here)
