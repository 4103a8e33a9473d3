"""Each promise and each hazard names tests that there are, and a wrong one is told."""

from deploy.tools import traceability
from deploy.tools.traceability import Known, Promise


def test_every_promise_and_hazard_names_tests_and_pages_that_exist() -> None:
    found = traceability.known()
    assert traceability.missing(found) == []
    assert (len(found.promise) > 10, len(found.hazard) > 5) == (True, True)


def test_what_is_not_there_is_told() -> None:
    untested = Promise(text="all is well", page="architecture.md", tests=[])
    gone = Promise(text="no", page="no.md", tests=["tests/no.py::test_no"])
    renamed = Promise(
        text="a name", page="index.md", tests=["tests/repository/test_traceability.py::test_gone"]
    )
    assert traceability.missing(Known(promise=[untested, gone, renamed], hazard=[])) == [
        "no test shows: all is well",
        "no such test: tests/no.py::test_no",
        "no such test: tests/repository/test_traceability.py::test_gone",
        "no such page: no.md",
    ]
