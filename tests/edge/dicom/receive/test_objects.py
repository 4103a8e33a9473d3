"""Objects that pynetdicom sends, and what lies in the inbox once their sender was told success."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from edge.dicom.receive.part10 import head
from edge.dicom.receive.services import STORAGE, SYNTAXES, VERIFICATION
from edge.inference.image.transfer_syntax import KINDS, NATIVE
from tests.support.receiver import (
    EXPLICIT,
    MAMMOGRAM,
    MARKER,
    Receiver,
    association,
    command,
    contexts,
    conversation,
    data_set,
    fragment,
    instance,
    request,
    sent,
    written,
)
from tests.support.rig import until
from tests.support.tools import need

pytestmark = pytest.mark.usefixtures("as_it_stands")

NO_ROOM: Final = 0xA700


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver")) as made:
        yield made


def came(receiver: Receiver, before: list[Path]) -> list[Path]:
    return [path for path in receiver.received() if path not in before]


def test_every_syntax_that_the_decoders_know_is_accepted_uncompressed_ones_first() -> None:
    assert set(SYNTAXES) == NATIVE | set(KINDS)
    assert len(SYNTAXES) == len(set(SYNTAXES))
    assert all("1.2.840.10008.1.2.4" not in syntax for syntax in SYNTAXES[:5])


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_file_is_the_sender_s_data_set_behind_our_head_in_every_syntax(
    receiver: Receiver, tmp_path: Path, syntax: str
) -> None:
    before = receiver.received()
    file = written(tmp_path, 1, syntax)
    with association(receiver, offered=contexts(syntaxes=[syntax])) as made:
        assert sent(made, file) == 0
    (found,) = came(receiver, before)
    assert found.read_bytes() == file.read_bytes()
    receiver.leaves_nothing()


def test_of_many_syntaxes_the_uncompressed_one_is_chosen(receiver: Receiver) -> None:
    offered = contexts([*STORAGE, VERIFICATION])
    for one in offered:
        one.transfer_syntax = list(reversed(SYNTAXES))
    with association(receiver, offered=offered) as made:
        chosen = {
            str(one.abstract_syntax): str(one.transfer_syntax[0]) for one in made.accepted_contexts
        }
    assert chosen == dict.fromkeys([*STORAGE, VERIFICATION], SYNTAXES[0])


def test_an_object_that_comes_twice_and_by_another_association_gives_equal_files(
    receiver: Receiver, tmp_path: Path
) -> None:
    before = receiver.received()
    file = written(tmp_path, 2)
    for _ in range(2):
        with association(receiver) as made:
            assert [sent(made, file), sent(made, file)] == [0, 0]
    found = came(receiver, before)
    assert len(found) == 4
    assert {path.read_bytes() for path in found} == {file.read_bytes()}


def test_an_object_larger_than_allowed_cuts_its_association_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    with Receiver(tmp_path / "small", more="[worker]\nmax_file_mb = 1") as receiver:
        with association(receiver) as made:
            assert sent(made, written(tmp_path, 3, size=100_000)) == 0
            assert sent(made, written(tmp_path, 4, size=3_000_000)) is None
            until(lambda: not made.is_established, "cut off", receiver.words)
        receiver.says('event=aborted peer=127.0.0.1 why="an object of more than 1 MiB"')
        receiver.leaves_nothing()
        assert len(receiver.received()) == 1


@pytest.mark.parametrize(
    "more",
    ["[spool]\nmin_free_mb = 100000000", "[spool]\nmax_waiting = 1"],
    ids=["disk", "nobody takes them"],
)
def test_without_room_the_sender_is_told_so_and_the_association_goes_on(
    tmp_path: Path, more: str
) -> None:
    with Receiver(tmp_path / "full", more=more) as receiver:
        (receiver.inbox / "waits.dcm").touch()
        with association(receiver) as made:
            file = written(tmp_path, 5)
            assert [sent(made, file), sent(made, file)] == [NO_ROOM, NO_ROOM]
        assert [path.name for path in receiver.received()] == ["waits.dcm"]
        receiver.leaves_nothing()
        (receiver.inbox / "waits.dcm").unlink()
        if "max_waiting" in more:
            with association(receiver) as made:
                assert sent(made, file) == 0


def test_a_disk_that_refuses_amid_an_object_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full: the same call fails."""
    with (
        Receiver(
            tmp_path / "short", before=[need("prlimit", "util-linux"), "--fsize=500000"]
        ) as receiver,
        association(receiver) as made,
    ):
        assert sent(made, written(tmp_path, 6, size=1_000_000)) == NO_ROOM
        receiver.leaves_nothing()
        assert sent(made, written(tmp_path, 7)) == 0
        assert len(receiver.received()) == 1


def test_an_inbox_that_was_replaced_takes_nothing(tmp_path: Path) -> None:
    with Receiver(tmp_path / "moved") as receiver:
        receiver.inbox.rename(tmp_path / "old")
        receiver.inbox.mkdir()
        with association(receiver) as made:
            assert sent(made, written(tmp_path, 8)) == NO_ROOM
        assert receiver.received() == []


def test_a_uid_that_breaks_the_rules_of_uids_is_stored_and_stands_in_no_line(
    receiver: Receiver,
) -> None:
    before = receiver.received()
    odd = "1.02..0815.471147114711"
    store = fragment(3, 3, command(0x01, MAMMOGRAM, uid=odd)) + fragment(3, 2, data_set(10))
    conversation(receiver, request(), store)
    until(lambda: came(receiver, before), "it is stored", receiver.words)
    assert came(receiver, before)[0].read_bytes() == head(MAMMOGRAM, odd, EXPLICIT) + data_set(10)
    assert odd not in receiver.words()


def test_no_line_of_the_log_holds_what_a_sender_said_of_a_patient_or_an_object(
    receiver: Receiver, tmp_path: Path
) -> None:
    with association(receiver) as made:
        assert sent(made, written(tmp_path, 9)) == 0
    receiver.says("event=object_taken")
    words = receiver.words()
    assert not [secret for secret in (MARKER, instance(9)[:20], ".dcm") if secret in words]
