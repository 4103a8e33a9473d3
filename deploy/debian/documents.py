"""
Write the parts of the Debian package that are for people.

Pages and examples are copied; man page, completion, copyright, changelog and bill of materials are
written from the code and from metadata.

`python -m deploy.debian.documents ROOT VERSION PYTHON_MINOR LOCK`
"""

import gzip
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from deploy.debian.completion import completion, leaves, zsh_completion
from edge import NOTICE, __version__
from edge.cli import exits
from edge.cli.parser import make_parser

REPOSITORY: Final = Path(__file__).parent.parent.parent
DOCUMENTS: Final = (
    "deploy/README.md",
    "docs/guides/coral.md",
    "docs/guides/install.md",
    "docs/guides/raspberry-pi.md",
    "docs/guides/operations.md",
    "docs/guides/models.md",
    "docs/guides/receiving.md",
    "docs/guides/reports.md",
    "docs/guides/page.md",
    "docs/pictures/page-worklist.png",
    "docs/pictures/page-result.png",
    "docs/pictures/page-picture.jpg",
    "docs/pictures/sftp-phone.png",
    "docs/pictures/sftp-worklist.png",
    "docs/quality/privacy.md",
    "docs/quality/security.md",
    "docs/quality/model-card.md",
    "docs/quality/model-card",
    "docs/reference/contract.md",
    "docs/reference/dicom.md",
    "docs/reference/dicom-conformance.md",
    "docs/reference/raster.md",
    "docs/adr/0002-pebble-for-worker-processes.md",
    "docs/reference/result.schema.json",
    "docs/reference/asyncapi.yaml",
)
"""
The pages for operators and integrators; a test follows their links, which must not leave this list.
"""
EXAMPLES: Final = (
    "deploy/broker/mosquitto",
    "deploy/monitoring/prometheus",
    "deploy/monitoring/grafana",
    "systemd/drop-ins",
)


def main(root: Path, version: str, minor: str, lock: str) -> None:
    """Write all of them below `root`, the tree of the package."""
    share = root / "usr/share"
    epoch = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    for_people(share, version, epoch, zsh="vendor-completions")
    copy(share / "doc/mammo-edge")
    put(share / "doc/mammo-edge/changelog.Debian.gz", changelog(version, epoch))
    put(
        share / "doc/mammo-edge/copyright",
        copyright_(root / f"opt/mammo-edge/dist/lib/python{minor}/site-packages"),
    )
    put(share / "doc/mammo-edge/sbom.cdx.json", sbom(lock))


def for_people(
    share: Path | str,
    version: str = __version__,
    date: datetime | None = None,
    *,
    zsh: str = "site-functions",
) -> None:
    """
    Write man page and shell completions below /usr/share or /usr/local/share.

    Args:
        share: the folder.
        version: of the release.
        date: of the release; now by default.
        zsh: the folder below `zsh` in which Debian's zsh looks: another one for packages.
    """
    put(Path(share, "man/man1/mammo-edge.1.gz"), man_page(version, date or datetime.now(UTC)))
    put(Path(share, "bash-completion/completions/mammo-edge"), completion())
    put(Path(share, "zsh", zsh, "_mammo-edge"), zsh_completion())


def copy(folder: Path) -> None:
    """Copy documents and examples with their folders, so that their relative links hold."""
    for name in (*DOCUMENTS, *EXAMPLES):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copyfile)(
            REPOSITORY / name, target
        )


def put(path: Path, text: str) -> None:
    """Write a text, compressed if the name ends in `.gz`, with the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def man_page(version: str, date: datetime) -> str:
    """Render the commands as a man(7) page, from the help texts of the parser."""
    parser = make_parser()
    lines = [
        f'.TH MAMMO-EDGE 1 "{date:%Y-%m-%d}" "mammo-edge {version}" "User Commands"',
        ".SH NAME",
    ]
    lines += ["mammo-edge \\- mammogram inference at the edge, results over MQTT"]
    lines += [".SH SYNOPSIS", ".B mammo-edge", "[--config PATH] COMMAND ..."]
    lines += [
        ".SH DESCRIPTION",
        escape(parser.description or ""),
        ".PP",
        escape(NOTICE),
        ".SH COMMANDS",
    ]
    lines += [
        line
        for name, text in commands()
        for line in (f".SS {escape(name)}", ".nf", escape(text), ".fi")
    ]
    lines += [
        ".SH EXIT STATUS",
        f"{exits.told().partition(': ')[2]}.",
        ".SH FILES",
    ]
    lines += [
        ".I /etc/mammo-edge/edge.toml",
        ".br",
        ".I /srv/mammo-edge/{inbox,spool,done,failed}",
        ".br",
        ".I /var/lib/mammo-edge",
    ]
    lines += [".SH SEE ALSO", "/usr/share/doc/mammo-edge"]
    return "\n".join(lines) + "\n"


def commands() -> list[tuple[str, str]]:
    """List each command with its help text."""
    return [
        (name, parser.format_help().replace(NOTICE, "").strip())
        for name, parser in leaves(make_parser())
    ]


def escape(text: str) -> str:
    """Escape backslashes, hyphens and leading dots for man(7)."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", safe)


def changelog(version: str, date: datetime) -> str:
    """Write Debian's changelog, which refers to CHANGELOG.md."""
    suite = version.partition("~")[2]
    when = format_datetime(date)
    return (
        f"mammo-edge ({version}) {suite}; urgency=medium\n\n  * See "
        f"CHANGELOG.md.\n\n -- mammo-edge <mammo-edge@localhost>  {when}\n"
    )


def copyright_(site: Path) -> str:
    """
    Write the copyright file: our licence, and that of every library from its metadata.

    The licence files of the libraries lie beside them below /opt.
    """
    lines = ["Copyright: 2026 the authors of mammo-edge", ""]
    lines += [
        "mammo-edge is under the Apache License 2.0: /usr/share/common-licenses/Apache-2.0",
        "",
    ]
    lines += ["Libraries below /opt/mammo-edge:", ""]
    for metadata in sorted(
        site.glob("*.dist-info/METADATA"), key=lambda path: path.parent.name.lower()
    ):
        name, version = metadata.parent.name.removesuffix(".dist-info").rsplit("-", 1)
        lines.append(
            f"  {name} {version}: "
            f"{licence_of(metadata.read_text(encoding='utf-8', errors='replace'))}"
        )
    return "\n".join(lines) + "\n"


def licence_of(metadata: str) -> str:
    """
    Give the licence of a package from its metadata; the classifier "DFSG approved" names none.
    """
    head = metadata.partition("\n\n")[0]
    classifier = r"(?m)^Classifier: License :: (?!DFSG approved)(?:OSI Approved :: )?(.+)$"
    for pattern in (r"(?m)^License-Expression: (.+)$", classifier, r"(?m)^License: (.+)$"):
        if found := re.search(pattern, head):
            return found[1]
    return "see its metadata"


def sbom(lock: str) -> str:
    """Give a CycloneDX bill of materials of the lock that the package was built from."""
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "requirements",
        "--output-reproducible",
        "--of",
        "JSON",
        lock,
    ]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5])
