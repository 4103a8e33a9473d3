"""
Write the parts for people of a package beside mammo-edge; its pages are in mammo-edge.

`python -m deploy.debian.documents_beside ROOT VERSION LOCK NAME`: NAME is `dicom` or `page`.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy.debian.documents import changelog, copyright_, put, sbom


def main(root: Path, version: str, lock: str, name: str) -> None:
    """Write all of them below `root`, the tree of the package."""
    folder = root / f"usr/share/doc/mammo-edge-{name}"
    epoch = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    put(folder / "changelog.Debian.gz", changelog(version, epoch))
    put(folder / "copyright", copyright_(root / f"opt/mammo-edge/dist/extra-{name}"))
    put(folder / "sbom.cdx.json", sbom(lock))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5])
