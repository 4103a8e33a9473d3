"""`make release` edits, commits and tags, or changes nothing."""

import subprocess
from pathlib import Path

import pytest

from deploy.tools import release
from deploy.tools.release import ReleaseError
from edge import __version__
from tests.support.tools import ROOT

DAY = "2026-12-24"
FILES = {
    "CHANGELOG.md": "# Changes\n\n## Unreleased\n\n### Added\n\n- A thing.\n\n## 0.1.0\n\n- All.\n",
    "edge/__init__.py": '__version__: Final = "0.1.0"\n',
    "CITATION.cff": "version: 0.1.0\ndate-released: 2026-11-22\n",
    "Makefile": "docs:\n\tgrep -o '[0-9.]*' edge/__init__.py > made.txt\n",
    "made.txt": "0.1.0\n",
}


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of few files, one of them made from the code; building there makes nothing."""
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "t")
        monkeypatch.setenv(f"{name}_EMAIL", "t@localhost")
    folder = tmp_path / "repository"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(tmp_path, "init", "--quiet", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Begin")
    monkeypatch.setattr(release, "build", lambda *_: None)
    return folder


def test_a_release_has_a_dated_heading_its_version_a_commit_and_a_tag(repository: Path) -> None:
    release.release(repository, "0.2.0", DAY)
    heading = "## Unreleased\n\n## 0.2.0 - 2026-12-24\n\n### Added\n\n- A thing."
    assert heading in (repository / "CHANGELOG.md").read_text()
    assert (repository / "edge/__init__.py").read_text() == '__version__: Final = "0.2.0"\n'
    cited = "version: 0.2.0\ndate-released: 2026-12-24\n"
    assert (repository / "CITATION.cff").read_text() == cited
    assert (repository / "made.txt").read_text() == "0.2.0\n"
    assert git(repository, "log", "-1", "--format=%s") == "Release 0.2.0"
    assert git(repository, "rev-parse", "v0.2.0^{commit}") == git(repository, "rev-parse", "HEAD")
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize("version", ["", "0.2", "v0.2.0", "0.2.0-rc1", "0.1.0", "0.2.0 --force"])
def test_a_version_that_is_none_or_was_there_is_refused_and_nothing_changes(
    repository: Path, version: str
) -> None:
    before = git(repository, "rev-parse", "HEAD")
    with pytest.raises(ReleaseError):
        release.release(repository, version, DAY)
    assert git(repository, "rev-parse", "HEAD") == before
    assert git(repository, "status", "--porcelain") == ""


def test_a_tag_that_is_there_is_refused(repository: Path) -> None:
    git(repository, "tag", "v0.2.0")
    with pytest.raises(ReleaseError, match=r"the tag v0\.2\.0 is there already"):
        release.release(repository, "0.2.0", DAY)


@pytest.mark.parametrize("name", ["CHANGELOG.md", "new.txt"])
def test_a_tree_that_is_not_clean_is_refused_with_what_changed(repository: Path, name: str) -> None:
    with (repository / name).open("a") as file:
        file.write("mine\n")
    with pytest.raises(ReleaseError, match=f"not clean(?s:.)*{name}"):
        release.release(repository, "0.2.0", DAY)
    assert "mine" in (repository / name).read_text()


def test_nothing_is_released_that_the_changelog_does_not_tell(repository: Path) -> None:
    text = FILES["CHANGELOG.md"].replace("### Added\n\n- A thing.\n\n", "")
    (repository / "CHANGELOG.md").write_text(text)
    git(repository, "commit", "--quiet", "--all", "--message", "Nothing new")
    with pytest.raises(ReleaseError, match="nothing under '## Unreleased'"):
        release.release(repository, "0.2.0", DAY)
    assert git(repository, "status", "--porcelain") == ""


def test_a_build_that_fails_leaves_neither_commit_nor_tag(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise subprocess.CalledProcessError(1, "build-deb")

    monkeypatch.setattr(release, "build", fail)
    with pytest.raises(subprocess.CalledProcessError):
        release.release(repository, "0.2.0", DAY)
    assert git(repository, "log", "-1", "--format=%s") == "Begin"
    assert git(repository, "tag") == ""
    assert (repository / "CHANGELOG.md").read_text() == FILES["CHANGELOG.md"]


def test_documents_that_cannot_be_made_leave_everything_as_it_was(repository: Path) -> None:
    (repository / "Makefile").write_text("docs:\n\tfalse\n")
    git(repository, "commit", "--quiet", "--all", "--message", "Break it")
    with pytest.raises(subprocess.CalledProcessError):
        release.release(repository, "0.2.0", DAY)
    assert git(repository, "log", "-1", "--format=%s") == "Break it"
    assert git(repository, "status", "--porcelain") == ""


def test_checksums_are_those_that_sha256sum_reads(tmp_path: Path) -> None:
    for name in ("b.deb", "a.whl"):
        (tmp_path / name).write_bytes(name.encode())
    for _ in range(2):
        (tmp_path / "SHA256SUMS").write_text(release.checksums(tmp_path))
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "a.whl: OK\nb.deb: OK\n"


def test_the_files_of_this_repository_can_be_edited_to_a_release() -> None:
    """A change of their form would only be noticed at the next release."""
    for name, change in release.edits("99.0.0", DAY).items():
        # Right after a release there is nothing unreleased.
        text = (ROOT / name).read_text().replace("## Unreleased\n", "## Unreleased\n\n- A thing.\n")
        assert "99.0.0" in change(text), name


def test_the_citation_names_the_version_of_the_package() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
