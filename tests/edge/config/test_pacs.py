"""Patients' names go to nobody until a PACS is named, and in clear to another machine never so."""

from typing import Any

import pytest

from edge.config.pacs import Address, read_peer
from edge.config.settings import Settings


def settings(**pacs: Any) -> Settings:  # noqa: ANN401 - keys
    return Settings(pacs={"peer": "PACS@10.1.2.3:104", **pacs})


def test_without_a_peer_nothing_is_sent() -> None:
    assert Settings().pacs.address is None
    assert (Settings().sink_names, Settings().exam_sinks) == (["mqtt"], ["exam"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("PACS@10.1.2.3:104", Address("PACS", "10.1.2.3", 104)),
        ("MY PACS@pacs.lan:11112", Address("MY PACS", "pacs.lan", 11112)),
        ("A@B@[::1]:4242", Address("A@B", "::1", 4242)),
    ],
)
def test_a_peer_is_an_ae_title_a_host_and_a_port(text: str, address: Address) -> None:
    assert read_peer(text) == address


@pytest.mark.parametrize(
    "text",
    ["PACS", "PACS@host", "PACS@:104", "@host:104", "PACS@host:0", "PACS@host:70000", "P@::1:104"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_peer(text)


@pytest.mark.parametrize("peer", ["P@127.0.0.1:104", "P@localhost:104", "P@[::1]:104"])
def test_this_machine_needs_no_tls(peer: str) -> None:
    assert settings(peer=peer).pacs.peer == peer


def test_another_machine_needs_tls_or_an_explicit_yes() -> None:
    with pytest.raises(ValueError, match=r"patients' names would go in clear to 10\.1\.2\.3"):
        settings()
    assert settings(tls=True).pacs.address == settings(allow_cleartext=True).pacs.address


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"tls": True, "cert": "/c"}, "cert and key belong together"),
        ({"allow_cleartext": True, "ca": "/c"}, "found ca without TLS"),
        ({"tls": True, "aet": "A" * 17}, "AE title"),
    ],
)
def test_half_a_configuration_is_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        settings(**keys)


def test_reports_are_of_exams_unless_images_are_asked_for() -> None:
    of_exams, of_images = settings(tls=True), settings(tls=True, results="image")
    assert (of_exams.sink_names, of_exams.exam_sinks) == (["mqtt"], ["exam", "dicom"])
    assert (of_images.sink_names, of_images.exam_sinks) == (["mqtt", "dicom"], ["exam"])


def test_maps_are_sent_if_they_are_asked_for_to_a_peer_alone() -> None:
    assert settings(tls=True).pacs.map is False
    assert settings(tls=True, map=True).sink_names == ["mqtt", "dicom_map"]
    with pytest.raises(ValueError, match="map is true, and no peer is named"):
        Settings(pacs={"map": True})


def test_reports_of_exams_need_no_broker_but_whole_exams() -> None:
    pacs = {"peer": "P@127.0.0.1:104"}
    alone = Settings(pacs=pacs, publish={"mqtt": False}, intake={"mqtt": False})
    assert (alone.sink_names, alone.exam_sinks, alone.uses_broker) == ([], ["dicom"], False)
    for keys, why in (
        ({"intake": {"shared_group": "g"}}, "intake.shared_group shares"),
        ({"exam": {"enabled": False}}, "exam.enabled is false"),
    ):
        with pytest.raises(ValueError, match=rf'pacs\.results is "exam", and {why}'):
            Settings(pacs=pacs, **keys)
        assert Settings(pacs=pacs | {"results": "image"}, **keys).exam_sinks == []
