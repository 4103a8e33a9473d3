"""
Make a release: `make release VERSION=0.2.0`.

The working tree must be clean. CHANGELOG.md gets a dated heading, `edge.__version__` and
CITATION.cff get the version, `make docs` writes anew what names it, and all of that is committed.
Wheel, Debian packages, bills of materials and checksums are built from that commit into
`dist/VERSION`. The tag comes last, so that every tagged version was built; after a failure the
commit is taken back. Nothing is pushed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.debian.documents import sbom

REPOSITORY: Final = Path(__file__).parent.parent.parent
LOCKS: Final = {
    "mammo-edge": "requirements/litert.txt",
    "mammo-edge-dicom": "requirements/dicom.txt",
    "mammo-edge-page": "requirements/page.txt",
}
"""The lock from which the libraries of each package are installed."""
Edit = Callable[[str], str]


class ReleaseError(Exception):
    """A state of the repository that cannot be released; the text says how to mend it."""


def main(version: str) -> int:
    """Release `version`; returns the exit status."""
    try:
        release(REPOSITORY, version, datetime.now(UTC).strftime("%Y-%m-%d"))
    except (ReleaseError, subprocess.CalledProcessError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(f"built in dist/{version} and tagged v{version}; now: git push --follow-tags")
    return 0


def release(repository: Path, version: str, day: str) -> None:
    """
    Edit, commit, build and tag.

    Args:
        repository: the working tree.
        version: three numbers.
        day: the date of the release, YYYY-MM-DD.

    Raises:
        ReleaseError: the tree is not clean, or the version is none, or is there already.
    """
    before = start(repository, version)
    edit(repository, edits(version, day))
    try:
        command = ["make", "--no-print-directory", "docs"]
        subprocess.run(command, cwd=repository, check=True)
        git(repository, "commit", "--quiet", "--all", "--message", f"Release {version}")
    except BaseException:
        git(repository, "restore", ".")
        raise
    try:
        build(repository, version)
        git(repository, "tag", "--annotate", f"v{version}", "--message", f"mammo-edge {version}")
    except BaseException:
        git(repository, "reset", "--quiet", "--keep", before)
        raise


def start(repository: Path, version: str) -> str:
    """Give the present commit, if a release can begin there."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        msg = f"found VERSION={version!r}, expected three numbers, such as 0.2.0"
        raise ReleaseError(msg)
    if changed := git(repository, "status", "--porcelain"):
        msg = f"the working tree is not clean, commit or remove first:\n{changed}"
        raise ReleaseError(msg)
    if git(repository, "tag", "--list", f"v{version}"):
        msg = f"the tag v{version} is there already: choose a later version"
        raise ReleaseError(msg)
    return git(repository, "rev-parse", "HEAD")


def edits(version: str, day: str) -> dict[str, Edit]:
    """Give the edit of each file that names the version."""
    return {
        "CHANGELOG.md": lambda text: dated(text, version, day),
        "edge/__init__.py": lambda text: replaced(
            text, r'__version__: Final = "[^"]+"', f'__version__: Final = "{version}"'
        ),
        "CITATION.cff": lambda text: replaced(
            replaced(text, r"(?m)^version: .+$", f"version: {version}"),
            r"(?m)^date-released: .+$",
            f"date-released: {day}",
        ),
    }


def dated(changelog: str, version: str, day: str) -> str:
    """Date the section of unreleased changes and put an empty one above it."""
    if re.search(rf"(?m)^## {re.escape(version)}( |$)", changelog):
        msg = f"CHANGELOG.md has a section {version} already: choose a later version"
        raise ReleaseError(msg)
    section = re.search(r"(?ms)^## Unreleased\n(.*?)(?=^## |\Z)", changelog)
    if section is None or "- " not in section[1]:
        msg = "CHANGELOG.md has nothing under '## Unreleased': say what an operator will notice"
        raise ReleaseError(msg)
    return replaced(changelog, r"(?m)^## Unreleased$", f"## Unreleased\n\n## {version} - {day}")


def replaced(text: str, pattern: str, by: str) -> str:
    """Replace the one match of a pattern."""
    new, count = re.subn(pattern, by, text)
    if count != 1:
        msg = f"found {pattern!r} {count} times, expected it once"
        raise ReleaseError(msg)
    return new


def edit(repository: Path, changes: dict[str, Edit]) -> None:
    """Change the files, none of them if one cannot be changed."""
    texts = {name: change((repository / name).read_text()) for name, change in changes.items()}
    for name, text in texts.items():
        (repository / name).write_text(text)


def build(repository: Path, version: str) -> None:
    """Build wheel, packages, bills of materials and checksums into dist/VERSION."""
    folder = repository / "dist" / version
    folder.mkdir(parents=True, exist_ok=True)
    environ = os.environ | {
        "PYTHON": sys.executable,
        "SOURCE_DATE_EPOCH": git(repository, "log", "-1", "--format=%ct"),
    }
    arch, suite = os.environ.get("ARCH", "amd64"), os.environ.get("SUITE", "bookworm")
    shutil.rmtree(repository / "build/lib", ignore_errors=True)  # modules that are no more
    wheel = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder))
    for command in (wheel, ("deploy/scripts/build-deb", arch, suite, str(folder))):
        subprocess.run(command, cwd=repository, env=environ, check=True)
    for package, lock in LOCKS.items():
        (folder / f"{package}-{version}.cdx.json").write_text(sbom(lock))
        if not list(folder.glob(f"{package}_{version}-*.deb")):
            msg = f"found no package {package} in {folder}, expected it from build-deb"
            raise ReleaseError(msg)
    (folder / "SHA256SUMS").write_text(checksums(folder))


def checksums(folder: Path) -> str:
    """Write the lines of SHA256SUMS, which `sha256sum --check` reads."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files
    )


def git(repository: Path, *words: str) -> str:
    """Run git in the repository and give its output without the last line end."""
    command = ["git", "-C", str(repository), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
