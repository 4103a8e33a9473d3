"""What the tests of reading share: both sets of decoders."""

import pytest

from edge.inference.image import codecs


@pytest.fixture(params=["fast", "light"])
def decoders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With imagecodecs, and without it."""
    if request.param == "light":
        monkeypatch.setattr(codecs, "fast", None)
    elif codecs.fast is None:
        pytest.skip("imagecodecs is missing: pip install -r requirements/fast.in")
    return str(request.param)
