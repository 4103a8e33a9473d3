"""Arrays as the bytes of a .npy file."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray


def dump(array: NDArray[Any]) -> bytes:
    """The bytes that `numpy.load` reads back."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
