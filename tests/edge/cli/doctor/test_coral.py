"""An accelerator as the doctor finds it."""

from pathlib import Path

import pytest

from edge.cli.doctor.coral import accelerator
from edge.cli.doctor.finding import Level
from tests.support.trees import tree


@pytest.mark.parametrize(("speed", "level"), [("5000", Level.OK), ("480", Level.WARNING)])
@pytest.mark.parametrize("ids", [("1a6e", "089a"), ("18d1", "9302")])
def test_a_coral_on_a_slow_port_is_known_by_either_id(
    tmp_path: Path, speed: str, level: Level, ids: tuple[str, str]
) -> None:
    device = "sys/bus/usb/devices/1-1"
    root = tree(
        tmp_path,
        {
            f"{device}/idVendor": ids[0],
            f"{device}/idProduct": ids[1],
            f"{device}/speed": f"{speed}\n",
        },
    )
    assert accelerator(root).level is level
