"""A real worker draws what the page shows, once the result is with the broker."""

import cv2
import numpy as np

from edge.storage.pictures import FOLDER, PICTURE, SMALL, find
from tests.support.rig import Rig, film, until


def test_a_scored_image_is_drawn_and_what_an_earlier_run_left_is_gone(rig: Rig) -> None:
    rig.configure("[page]\npictures = true\n")
    state = rig.folder / "state"
    left = state / FOLDER / ("0" * 64)
    left.mkdir(parents=True)
    (left / f"r{PICTURE}").write_bytes(b"half")
    rig.ready().await_introduction()
    assert not left.exists()
    said = rig.result_of(rig.drop("film.png", film(1)))
    until(lambda: rig.status()["counters"].get("pictures_drawn"), "drawn", rig.words)
    for ending in (PICTURE, SMALL):
        file = find(state, said["image_id"], said["result_id"], ending)
        assert file is not None
        data = np.frombuffer(file.read_bytes(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape[0] >= 320
    assert len(list((state / FOLDER).rglob("*.*"))) == 2
