"""A TIFF's directory: its size and completeness, read before any codec sees it."""

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from edge.errors import ImageRejected, Reason
from edge.inference.image.raster_headers import Size, ends_early

BIG: Final = 43
"""The version a BigTIFF has."""
KIND, COLUMNS, ROWS, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIPS, ORIENTATION, SAMPLES, STRIP_ROWS, STRIP_BYTES = 273, 274, 277, 278, 279
PLANAR, PREDICTOR, TILE_COLUMNS, TILE_ROWS, TILES, TILE_BYTES = 284, 317, 322, 323, 324, 325
EXTRA, FORMAT, FILL = 338, 339, 266
LOOKED_AT: Final = frozenset(
    {KIND, COLUMNS, ROWS, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, ORIENTATION, SAMPLES, STRIP_ROWS}
    | {STRIP_BYTES, PLANAR, PREDICTOR, TILE_COLUMNS, TILE_ROWS, TILES, TILE_BYTES, EXTRA, FORMAT}
    | {FILL}
)
"""Tags that are read; others may be long and many."""
USUAL: Final[Mapping[int, int]] = {BITS: 1, COMPRESSION: 1, SAMPLES: 1, PLANAR: 1, FORMAT: 1}
"""The meaning of a tag that is absent (TIFF 6.0)."""
PREVIEW: Final = 1
"""Bit of NewSubfileType: a reduced copy of another page."""
READ_BITS: Final = frozenset({1, 8, 10, 12, 14, 16})
WHITE_IS_ZERO: Final = 0
USUAL_PHOTOMETRICS: Final = frozenset({0, 1, 2})
"""White is zero, black is zero, RGB."""
USUAL_COMPRESSIONS: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946})
"""None, fax, LZW, JPEG, deflate, PackBits."""
INTEGERS: Final = frozenset({1, 2, 4})
"""Sample formats: unsigned, signed, not said."""
READ_FORMATS: Final = frozenset({1})


class Page(NamedTuple):
    """One page's directory."""

    at: int
    """The directory's offset."""
    values: Mapping[int, tuple[int, ...]]

    def one(self, tag: int) -> int:
        """Return the first value of a tag, or what its absence means."""
        found = self.values.get(tag)
        return found[0] if found else USUAL.get(tag, 0)


class Layout(NamedTuple):
    """The widths of a TIFF's numbers: classic, or BigTIFF with offsets of 64 bits."""

    order: str
    start: int
    """Place of the first page's offset."""
    offset: str
    entries: str
    """Code of the number of a page's entries."""
    entry_bytes: int

    def read(self, code: str, data: bytes, at: int) -> int:
        """Read one number."""
        return int(struct.unpack_from(self.order + code, data, at)[0])

    def pages(self, data: bytes) -> Iterator[Page]:
        """Read the directories, one after the other."""
        at, seen = self.read(self.offset, data, self.start), set[int]()
        while at and at not in seen:
            seen.add(at)
            first = at + struct.calcsize("=" + self.entries)
            end = first + self.entry_bytes * self.read(self.entries, data, at)
            if end > len(data):
                ends_early("TIFF ends inside a page's directory")
            page: dict[int, tuple[int, ...]] = {}
            for entry in range(first, end, self.entry_bytes):
                if (tag := self.read("H", data, entry)) in LOOKED_AT and tag not in page:
                    page[tag] = self.numbers(data, entry)
            yield Page(at, page)
            at = self.read(self.offset, data, end)

    def numbers(self, data: bytes, entry: int) -> tuple[int, ...]:
        """
        Values of one entry (BYTE, SHORT, LONG or LONG8), from the entry or from where it points.
        """
        kind = self.read("H", data, entry + 2)
        count = self.read(self.offset, data, entry + 4)
        room = struct.calcsize("=" + self.offset)
        code, width = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 16: ("Q", 8)}.get(kind, ("", 0))
        if not width or count * width > len(data):
            return ()
        value = entry + 4 + room
        where = value if count * width <= room else self.read(self.offset, data, value)
        return struct.unpack_from(f"{self.order}{count}{code}", data, where)


def layout_of(data: bytes) -> Layout:
    """Read how the file writes its numbers."""
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    if version == BIG:
        return Layout(order, 8, "Q", "Q", 20)
    return Layout(order, 4, "I", "H", 12)


def page_of(data: bytes) -> Page:
    """
    Find the one page, previews aside.

    Raises:
        ImageRejected: there is none, or more than one.
    """
    pages = [
        page
        for page in layout_of(data).pages(data)
        if not any(kind & PREVIEW for kind in page.values.get(KIND, ()))
    ]
    if len(pages) != 1:
        reason = Reason.MULTI_FRAME if pages else Reason.NO_PIXELS
        raise ImageRejected(reason, f"the TIFF has {len(pages)} pages, expected one")
    return pages[0]


def size(data: bytes) -> Size:
    """Size of a TIFF of one whole page of a kind that is read."""
    page = page_of(data)
    for offsets, lengths in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
        ends = zip(page.values.get(offsets, ()), page.values.get(lengths, ()), strict=False)
        if any(start + length > len(data) for start, length in ends):
            ends_early("TIFF ends before its last strip")
    rows, columns, bits = page.one(ROWS), page.one(COLUMNS), page.one(BITS)
    if not (rows and columns):
        raise ImageRejected(Reason.UNREADABLE, "the TIFF does not say its size")
    if page.one(FORMAT) not in INTEGERS:
        detail = "the TIFF's samples are floating point numbers, expected integers"
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    if bits not in READ_BITS:
        detail = f"the TIFF has {bits} bits a sample, expected 8 to 16 or black and white"
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    white_is_zero = page.values.get(PHOTOMETRIC) == (WHITE_IS_ZERO,)
    return Size(rows, columns, white_is_zero, bits, page.one(SAMPLES))


def check_usual(data: bytes) -> None:
    """
    Refuse a page that could not be decoded by what is rare about it, if anything is.

    Raises:
        ImageRejected: its photometric interpretation or compression is a rare one.
    """
    page = page_of(data)
    photometric, compression = page.values.get(PHOTOMETRIC, ()), page.one(COMPRESSION)
    usual = photometric and USUAL_PHOTOMETRICS.issuperset(photometric)
    if not usual or compression not in USUAL_COMPRESSIONS or page.one(FORMAT) not in READ_FORMATS:
        said = photometric[0] if photometric else "absent"
        detail = (
            f"the TIFF has photometric {said}, compression {compression}, "
            f"{page.one(BITS)} bits a sample and sample format {page.one(FORMAT)}, expected grey "
            "or RGB, plain, LZW, deflate, PackBits or JPEG, of unsigned integers"
        )
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)


def with_its_page_first(data: bytes) -> bytes:
    """The same file with the page, not a preview before it, as the first: decoders take that."""
    layout = layout_of(data)
    first = struct.pack(layout.order + layout.offset, page_of(data).at)
    end = layout.start + len(first)
    return data if data[layout.start : end] == first else data[: layout.start] + first + data[end:]
