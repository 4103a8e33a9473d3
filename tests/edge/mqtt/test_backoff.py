"""The pause before the next connection, and its protocol."""

from edge.health import STAMP_S
from edge.mqtt.backoff import BACKOFF_S, STEADY_S, Backoff, Ended
from edge.mqtt.connection import Protocol


def test_pauses_grow_to_the_longest_one_and_begin_anew_after_a_connection_that_lasted() -> None:
    backoff = Backoff()
    pauses = [backoff.after(Ended.UNREACHABLE, 1.0) for _ in range(len(BACKOFF_S) + 2)]
    assert pauses == [*BACKOFF_S, BACKOFF_S[-1], BACKOFF_S[-1]]
    assert backoff.after(Ended.LASTED, STEADY_S + 1) == 0.0
    assert backoff.after(Ended.UNREACHABLE, 1.0) == BACKOFF_S[0]


def test_a_connection_that_ended_soon_is_made_anew_after_a_pause() -> None:
    backoff = Backoff()
    assert [backoff.after(Ended.LASTED, 1.0) for _ in range(3)] == [*BACKOFF_S[:3]]


def test_a_broker_that_does_not_know_mqtt_5_is_asked_with_3_1_1_at_once_and_then_with_5() -> None:
    backoff = Backoff()
    assert (backoff.after(Ended.UNSUPPORTED, 1.0), backoff.protocol) == (0.0, Protocol.V311)
    assert (backoff.after(Ended.UNSUPPORTED, 1.0), backoff.protocol) == (0.2, Protocol.V5)


def test_a_broker_that_closes_twice_unanswered_is_asked_with_3_1_1() -> None:
    backoff = Backoff()
    assert (backoff.after(Ended.CLOSED_UNANSWERED, 1.0), backoff.protocol) == (0.2, Protocol.V5)
    assert (backoff.after(Ended.CLOSED_UNANSWERED, 1.0), backoff.protocol) == (0.0, Protocol.V311)


def test_closes_that_are_not_in_a_row_change_no_protocol() -> None:
    backoff = Backoff()
    for ended in (Ended.CLOSED_UNANSWERED, Ended.UNREACHABLE, Ended.CLOSED_UNANSWERED):
        backoff.after(ended, 1.0)
    assert backoff.protocol is Protocol.V5


def test_after_a_connection_that_lasted_mqtt_5_is_tried_again() -> None:
    backoff = Backoff()
    backoff.after(Ended.UNSUPPORTED, 1.0)
    backoff.after(Ended.LASTED, 1.0)
    assert backoff.protocol is Protocol.V5


def test_the_longest_pause_is_shorter_than_a_loop_may_be_silent() -> None:
    assert max(BACKOFF_S) < STAMP_S


def test_a_broker_that_has_spoken_5_before_is_never_asked_with_another_by_guess() -> None:
    backoff = Backoff(spoke_5=True)
    for _ in range(10):
        backoff.after(Ended.CLOSED_UNANSWERED, 1.0)
        assert backoff.protocol is Protocol.V5
    backoff.after(Ended.UNSUPPORTED, 1.0)
    assert (backoff.protocol, backoff.guessed) == (Protocol.V311, False)


def test_only_closes_make_a_guess_and_only_of_3_1_1() -> None:
    backoff = Backoff()
    for _ in range(2):
        backoff.after(Ended.CLOSED_UNANSWERED, 1.0)
    assert (backoff.protocol, backoff.guessed) == (Protocol.V311, True)
    for _ in range(2):
        backoff.after(Ended.CLOSED_UNANSWERED, 1.0)
    assert (backoff.protocol, backoff.guessed) == (Protocol.V5, False)


def test_a_version_that_the_configuration_fixes_is_the_only_one() -> None:
    for fixed in Protocol:
        backoff = Backoff(fixed)
        for ended in (Ended.UNSUPPORTED, *[Ended.CLOSED_UNANSWERED] * 3, Ended.LASTED):
            backoff.after(ended, 1.0)
            assert (backoff.protocol, backoff.guessed) == (fixed, False)
