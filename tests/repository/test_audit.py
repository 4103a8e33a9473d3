"""The libraries: their licences, their hashes."""

import re
import subprocess
import sys

import pytest

from deploy.tools import audit
from tests.support.tools import ROOT

HASH = "--hash=sha256:" + "0" * 64


def test_everything_installed_here_may_be_used_as_it_is_used() -> None:
    assert list(audit.licences(audit.installed())) == []
    assert len(audit.installed()) > 40


def test_every_pin_of_a_device_has_its_hashes() -> None:
    assert [
        line for lock in audit.LOCKS for line in audit.hashes(lock.name, lock.read_text())
    ] == []
    assert {"numpy", "pebble", "paho-mqtt"} <= set(audit.pins(audit.LOCKS[0].read_text()))
    assert set(audit.LOCKS) == set((ROOT / "requirements").glob("*.txt"))


def pinned(lock: str) -> set[str]:
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    return set(re.findall(r"^\S+==\S+", text, re.MULTILINE))


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_the_extra_fast_adds_its_decoders_and_changes_no_other_pin(runtime: str) -> None:
    plain, fast = pinned(runtime), pinned(f"{runtime}-fast")
    assert plain < fast
    assert [pin.partition("==")[0] for pin in fast - plain] == ["imagecodecs"]


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_the_extra_dicom_adds_its_library_to_any_lock_and_changes_no_pin(runtime: str) -> None:
    added = pinned("dicom") - pinned(runtime)
    assert [pin.partition("==")[0] for pin in added] == ["pynetdicom"]


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_the_extra_page_goes_beside_any_lock_and_changes_no_pin(runtime: str) -> None:
    known = {pin.partition("==")[0]: pin for pin in pinned(runtime)}
    both = {pin for pin in pinned("page") if pin.partition("==")[0] in known}
    assert both <= pinned(runtime)
    assert {"starlette", "uvicorn", "jinja2"} <= {pin.partition("==")[0] for pin in pinned("page")}


@pytest.mark.parametrize(
    ("line", "right"),
    [
        (f"numpy==2.4.6 \\\n    {HASH} \\\n    {HASH}\n    # via x\n", True),
        (f'numpy==2.4.6 ; python_version < "3.12" \\\n    {HASH}\n', True),
        ("numpy==2.4.6\n", False),
        (f"numpy>=2 \\\n    {HASH}\n", False),
        ("numpy==2.4.6 --hash=md5:00\n", False),
        ("git+https://example.org/x\n", False),
    ],
)
def test_a_pin_without_a_version_or_a_hash_is_found(line: str, right: bool) -> None:  # noqa: FBT001
    assert (list(audit.hashes("x.txt", f"# head\n{line}")) == []) is right


@pytest.mark.parametrize(
    ("licence", "on_devices", "for_tools"),
    [
        ("MIT", True, True),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True, True),
        ("EPL-2.0 OR BSD-3-Clause", True, True),
        ("Apache Software License", True, True),
        ("Apache License 2.0", True, True),
        ("3-Clause BSD License", True, True),
        ("MPL-2.0 AND MIT", False, True),
        ("GPL-3.0-only", False, False),
        ("MIT AND GPL-2.0", False, False),
        ("GNU Library or Lesser General Public License (LGPL)", False, False),
        ("AGPL-3.0 OR Commercial", False, False),
        ("see its metadata", False, False),
    ],
)
def test_a_licence_that_asks_for_more_than_notices_is_found(
    licence: str,
    on_devices: bool,  # noqa: FBT001
    for_tools: bool,  # noqa: FBT001
) -> None:
    assert (audit.allowed(licence, tool=False), audit.allowed(licence, tool=True)) == (
        on_devices,
        for_tools,
    )


def test_what_is_fine_for_a_tool_is_not_for_a_device_and_exceptions_are_by_name() -> None:
    assert list(audit.licences({"hypothesis": "MPL-2.0", "pebble": "LGPL"})) == []
    (wrong,) = audit.licences({"paho-mqtt": "MPL-2.0"})
    assert wrong.startswith(
        "paho-mqtt: its licence is 'MPL-2.0', expected on devices permissive ones"
    )
    (wrong,) = audit.licences({"unknown-tool": "see its metadata"})
    assert "write down why in deploy/tools/audit.py" in wrong


def test_every_exception_is_still_needed_and_told() -> None:
    shipped = {name for lock in audit.LOCKS for name in audit.pins(lock.read_text())}
    assert set(audit.SHIPPED_EXCEPTIONS) <= shipped
    told = (ROOT / "docs/quality/security.md").read_text()
    assert [name for name in audit.SHIPPED_EXCEPTIONS if f"`{name}`" not in told] == []


def test_the_command_says_nothing_where_nothing_is_wrong() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.tools.audit"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
