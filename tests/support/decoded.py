"""Decode a file's bytes, or expect that they are rejected."""

import pytest

from edge.errors import ImageRejected
from edge.inference.image import Limits, decode


def rejected(data: bytes, limits: Limits | None = None) -> ImageRejected:
    """Return the rejection of a file that must not be decoded."""
    with pytest.raises(ImageRejected) as caught:
        decode(data, limits or Limits())
    return caught.value
