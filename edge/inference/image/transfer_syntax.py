"""Transfer syntaxes: their names, and the kind of coding that each stands for."""

import re
from collections.abc import Mapping
from typing import Final

import pydicom.uid as uids
from pydicom.uid import UID

NATIVE: Final = frozenset(
    {
        uids.ImplicitVRLittleEndian,
        uids.ExplicitVRLittleEndian,
        uids.ExplicitVRBigEndian,
        uids.DeflatedExplicitVRLittleEndian,
    }
)
KINDS: Final[Mapping[UID, str]] = {
    uids.RLELossless: "rle",
    uids.JPEGBaseline8Bit: "jpeg",
    uids.JPEGExtended12Bit: "jpeg",
    UID("1.2.840.10008.1.2.4.53"): "jpeg",  # spectral selection, retired
    UID("1.2.840.10008.1.2.4.55"): "jpeg",  # full progression, retired
    uids.JPEGLossless: "jpeg lossless",
    uids.JPEGLosslessSV1: "jpeg lossless",
    uids.JPEGLSLossless: "jpeg-ls",
    uids.JPEGLSNearLossless: "jpeg-ls",
    uids.JPEG2000Lossless: "jpeg 2000",
    uids.JPEG2000: "jpeg 2000",
    uids.HTJ2KLossless: "htj2k",
    uids.HTJ2KLosslessRPCL: "htj2k",
    uids.HTJ2K: "htj2k",
}

SYNTAXES: Final[Mapping[str, UID]] = {
    "rle": uids.RLELossless,
    "jpeg": uids.JPEGExtended12Bit,
    "jpeg lossless": uids.JPEGLossless,
    "jpeg-ls": uids.JPEGLSNearLossless,
    "jpeg 2000": uids.JPEG2000,
    "htj2k": uids.HTJ2K,
}
"""The most general transfer syntax of each kind, for frames of another kind than is said."""
STANDARD: Final = re.compile(r"1\.2\.840\.10008(\.[0-9]{1,6}){1,8}")
"""Unique identifiers of the standard itself, which hold nobody's free text."""
NEW: Final[Mapping[str, str]] = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}
"""Transfer syntaxes that are newer than pydicom 3.0."""


def name(syntax: UID) -> str:
    """Return its name in the standard; a private one has none and could hold anything."""
    if syntax in NEW:
        return NEW[syntax]
    if syntax.name != syntax and not syntax.is_private:
        return str(syntax.name)
    return f"an unknown one, {syntax}" if STANDARD.fullmatch(syntax) else "a private one"


def is_known(syntax: UID) -> bool:
    """Tell if there may be a decoder, depending on the bits."""
    return syntax in NATIVE or syntax in KINDS
