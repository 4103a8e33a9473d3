"""Exams and what keeps a device from seeing whole ones exclude each other."""

from typing import Any

import pytest

from edge.config.settings import Settings

SHARED: dict[str, Any] = {"intake": {"shared_group": "g"}}


def test_exams_are_published_unless_the_device_shares_requests_or_publishes_nothing() -> None:
    assert Settings().makes_exams
    assert not Settings(**SHARED).makes_exams
    assert not Settings(publish={"mqtt": False}).makes_exams
    assert not Settings(exam={"enabled": False}).makes_exams


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (SHARED | {"exam": {"enabled": True}}, "exam.enabled is true, and intake.shared_group"),
        (SHARED | {"exam": {"folders": True}}, "exam.folders is true, and intake.shared_group"),
        ({"publish": {"mqtt": False}, "exam": {"enabled": True}}, "publish.mqtt is off"),
        ({"exam": {"enabled": False, "folders": True}}, "exam.enabled is false"),
    ],
)
def test_a_configuration_that_asks_for_both_is_refused_with_the_reason(
    asked: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Settings(**asked)
