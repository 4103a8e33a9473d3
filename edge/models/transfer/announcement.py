"""
The announcement of a bundle on `model/available`, and the chunks in which the bundle follows.

The chunks are the bundle's files, one after the other, on `model/available/<sha256>/<number>`. All
of them are retained, so a device fetches them at any time, in any order, and as often as it likes.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.errors import ModelError
from edge.models.bundle import verify
from edge.models.manifest import MANIFEST, Sha256
from edge.models.signature import SIGNATURE

SCHEMA: Final = "mammo.available/1"
CHUNK: Final = 2**18
"""Bytes of a chunk: small enough for every broker and for a slow line."""
LARGEST: Final = 2**20
"""The most bytes of an announcement, or of a chunk."""

FileName = Annotated[
    str,
    Field(
        max_length=200,
        pattern=r"^(?:[A-Za-z0-9_][A-Za-z0-9._-]*/){0,4}[A-Za-z0-9_][A-Za-z0-9._-]*$",
    ),
]
"""A relative path that leads nowhere but down: no level begins with a dot."""
Text = Annotated[str, Field(max_length=200)]
Publish: TypeAlias = Callable[[str, bytes], None]
"""
Publishes, retained, on `model/available` followed by the first argument. No bytes remove the
message that is retained there.
"""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Piece(_Part):
    """One file of the bundle."""

    name: FileName
    size: Annotated[int, Field(ge=0)]


class Announcement(_Part):
    """
    The announcement of a bundle.

    Nothing in it is believed: the bytes that come must hash to `sha256`, and be a bundle that is
    signed and proves itself.
    """

    schema_: Annotated[Literal["mammo.available/1"], Field(alias="schema")] = SCHEMA
    bundle: Sha256
    """The bundle's id."""
    name: Text
    version: Text
    size: Annotated[int, Field(ge=1)]
    """Bytes of all files together."""
    sha256: Sha256
    """Hash of these bytes, in the order of `files`."""
    chunk_bytes: Annotated[int, Field(ge=1024, le=LARGEST)]
    chunks: Annotated[int, Field(ge=1)]
    """Number of chunks, numbered from 0; all but the last have `chunk_bytes`."""
    files: Annotated[tuple[Piece, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if (found := sum(piece.size for piece in self.files)) != self.size:
            msg = f"size is {self.size}, its files have {found} bytes"
            raise ValueError(msg)
        if (found := -(-self.size // self.chunk_bytes)) != self.chunks:
            msg = (
                f"chunks is {self.chunks}, {self.size} bytes are "
                f"{found} chunks of {self.chunk_bytes}"
            )
            raise ValueError(msg)
        return self

    def topic(self, number: int) -> str:
        """Return the topic of a chunk, below `model/available`."""
        return f"/{self.sha256}/{number}"

    def chunk_size(self, number: int) -> int:
        """Return how many bytes a chunk must have."""
        return min(self.chunk_bytes, self.size - number * self.chunk_bytes)

    def encode(self) -> bytes:
        """Return the announcement as it is published."""
        return self.model_dump_json(by_alias=True).encode()


def read_announcement(payload: bytes) -> Announcement:
    """
    Parse an announcement.

    Raises:
        ModelError: the payload is none; the text names the field.
    """
    if len(payload) > LARGEST:
        msg = f"model/available: {len(payload)} bytes, expected {LARGEST} at most"
        raise ModelError(msg)
    try:
        return Announcement.model_validate_json(payload)
    except ValidationError as error:
        msg = f"model/available: {_first_of(error)}"
        raise ModelError(msg) from None


def make_announcement(folder: Path, chunk_bytes: int = CHUNK) -> Announcement:
    """
    Make the announcement of a bundle.

    Raises:
        ModelError: it is damaged, or a file's name could not be unpacked.
    """
    bundle = verify(folder)
    names = [
        MANIFEST,
        *bundle.manifest.files,
        *([SIGNATURE] if (folder / SIGNATURE).exists() else []),
    ]
    digest, sizes = hashlib.sha256(), [(folder / name).stat().st_size for name in names]
    for chunk in _chunks((folder / name for name in names), chunk_bytes):
        digest.update(chunk)
    try:
        return Announcement(
            schema=SCHEMA,
            bundle=bundle.bundle_id,
            name=bundle.manifest.name,
            version=bundle.manifest.version,
            size=sum(sizes),
            sha256=digest.hexdigest(),
            chunk_bytes=chunk_bytes,
            chunks=-(-sum(sizes) // chunk_bytes),
            files=tuple(
                Piece(name=name, size=size) for name, size in zip(names, sizes, strict=True)
            ),
        )
    except ValidationError as error:
        msg = f"{MANIFEST}: cannot be announced: {_first_of(error)}"
        raise ModelError(msg) from None


def publish(folder: Path, announced: Announcement, put: Publish) -> None:
    """
    Publish a bundle: chunks first, and then the announcement.

    Args:
        folder: the bundle's.
        announced: its announcement, made by `make_announcement`.
        put: publishes, or raises.
    """
    for number, chunk in enumerate(
        _chunks((folder / piece.name for piece in announced.files), announced.chunk_bytes)
    ):
        put(announced.topic(number), chunk)
    put("", announced.encode())


def withdraw(former: Announcement, put: Publish) -> None:
    """Remove an announcement, and then its chunks."""
    put("", b"")
    clear(former, put)


def clear(announced: Announcement, put: Publish) -> None:
    """Remove the chunks of an announcement that is no longer there."""
    for number in range(announced.chunks):
        put(announced.topic(number), b"")


def _chunks(paths: Iterable[Path], size: int) -> Iterator[bytes]:
    """Yield the files' bytes, one file after the other, `size` at a time."""
    pending = b""
    for path in paths:
        with path.open("rb") as file:
            while data := file.read(size - len(pending)):
                pending += data
                if len(pending) == size:
                    yield pending
                    pending = b""
    if pending:
        yield pending


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return (
        f"{'.'.join(map(str, first['loc'])) or 'the whole of it'}: "
        f"{first['msg'].removeprefix('Value error, ')}"
    )
