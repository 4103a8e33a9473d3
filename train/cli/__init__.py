"""
The command `mammo-train`: from a folder of mammograms to a measured model bundle.

Each file of this package is one command, with its arguments (`add`) and its work (`run`).
TensorFlow takes seconds to load, and `prepare`, `report` and `--help` need none of it: a command
imports what it needs when it runs.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Final

from edge.errors import MammoEdgeError
from train.cli import bench, calibrate, evaluate, export, fit, index, prepare, report

DESCRIPTION: Final = """\
Train, measure and export a model for mammo-edge.

  mammo-train fit seed --data index.csv --out runs/seed
  mammo-train export runs/seed
  mammo-train evaluate runs/seed
  mammo-train report runs/seed

--data is an index CSV with the columns path, label (benign or malignant) and patient, a folder
with Benign/ and Malignant/, or CBIS-DDSM, INbreast, Mini-MIAS, CMMD, CDD-CESM, VinDr-Mammo, RSNA
Screening Mammography or EMBED as their archives ship them. Given several times, they are pooled. No
patient ever stands on two sides of the split.
Research software, not a medical device.
"""
COMMANDS: Final = (index, prepare, bench, fit, export, evaluate, calibrate, report)
EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 for done, 1 for failed (stderr says why), 2 for wrong usage."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(typed)
    options.typed = shlex.join(["mammo-train", *typed])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        options.run(options)
    except MammoEdgeError as error:
        print(f"mammo-train: {error}", file=sys.stderr)
        return EXIT_FAILED
    except ModuleNotFoundError as error:
        print(
            f"mammo-train: {error.name} is not installed: pip install 'mammo-edge[train]'",
            file=sys.stderr,
        )
        return EXIT_FAILED
    except OSError as error:
        print(f"mammo-train: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print(
            "mammo-train: interrupted; the same command goes on from where it stopped",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """Build the parser of every command and option."""
    top = argparse.ArgumentParser(
        "mammo-train", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top
