"""
Write the parts of the package mammo-edge-dicom that are for people; its pages are in mammo-edge.

`python -m deploy.debian.documents_dicom ROOT VERSION LOCK`
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy.debian.documents import changelog, copyright_, put, sbom


def main(root: Path, version: str, lock: str) -> None:
    """Write all of them below `root`, the tree of the package."""
    folder = root / "usr/share/doc/mammo-edge-dicom"
    epoch = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    put(folder / "changelog.Debian.gz", changelog(version, epoch))
    put(folder / "copyright", copyright_(root / "opt/mammo-edge/extra-dicom"))
    put(folder / "sbom.cdx.json", sbom(lock))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4])
