"""The reference of an exam, as strangers may give it."""

import json

import pytest

from edge.contract.exam_reference import exam_of_properties, exam_of_reference

LONG = "the request names an exam of 66 bytes, expected 1 to 64 bytes of text"


def test_the_user_property_exam_is_the_reference_and_others_are_not() -> None:
    assert exam_of_properties([("note", "x"), ("exam", "order 17")]) == "order 17"
    assert exam_of_properties([("note", "x")]) is None
    assert exam_of_properties([("exam", "x" * 64)]) == "x" * 64


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["ü" * 33], LONG),
        ([""], "an exam that is no text"),
        (["1", "1"], "2 user properties `exam`, expected one"),
    ],
)
def test_another_user_property_is_refused_with_what_was_expected(
    values: list[str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        exam_of_properties([("exam", value) for value in values])


def test_the_field_exam_of_a_reference_may_be_left_out() -> None:
    assert exam_of_reference(b'{"name": "x"}') is None
    assert exam_of_reference(b'{"exam": null}') is None
    assert exam_of_reference(b'{"exam": "17"}') == "17"


@pytest.mark.parametrize("value", [17, "", "x" * 65, ["17"], "\ud800", True])
def test_a_field_that_is_no_reference_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected 1 to 64 bytes of text"):
        exam_of_reference(json.dumps({"exam": value}).encode())
