"""The SOP classes and transfer syntaxes that are accepted, in the order of preference."""

from typing import Final

VERIFICATION: Final = "1.2.840.10008.1.1"
STORAGE: Final = (
    "1.2.840.10008.5.1.4.1.1.1.2",  # digital mammography, for presentation
    "1.2.840.10008.5.1.4.1.1.1.2.1",  # digital mammography, for processing
    "1.2.840.10008.5.1.4.1.1.1",  # computed radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # digital X-ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # digital X-ray, for processing
    "1.2.840.10008.5.1.4.1.1.7",  # secondary capture
)
UNCOMPRESSED: Final = (
    "1.2.840.10008.1.2.1",  # explicit VR, little endian
    "1.2.840.10008.1.2",  # implicit VR, little endian
    "1.2.840.10008.1.2.2",  # explicit VR, big endian
)
SYNTAXES: Final = (
    *UNCOMPRESSED,
    "1.2.840.10008.1.2.1.99",  # deflated
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, selection value 1
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.201",  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K lossless, RPCL
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.4.53",  # JPEG spectral selection, retired
    "1.2.840.10008.1.2.4.55",  # JPEG full progression, retired
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.203",  # HTJ2K
)
"""All that the decoders know: uncompressed first, then without loss, then with."""
