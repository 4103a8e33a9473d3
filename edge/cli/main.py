"""The command `mammo-edge`."""

import io
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module

from edge.cli import exits
from edge.cli.parser import make_parser
from edge.errors import MammoEdgeError, StartupError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status, one of `exits`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no name ends what was worked for
    arguments = make_parser().parse_args(argv)
    try:
        return command_of(arguments.command)(arguments)
    except StartupError as error:
        print(f"mammo-edge: {error}", file=sys.stderr)
        return exits.CONFIG
    except MammoEdgeError as error:
        print(f"mammo-edge: {error}", file=sys.stderr)
        return exits.FAILED
    except PermissionError as error:
        place = error.filename or "a file"
        who = "run this as root, or join the group mammo-edge"
        print(f"mammo-edge: {place}: {error.strerror}: {who}", file=sys.stderr)
        return exits.FAILED
    except BrokenPipeError:  # `mammo-edge results | head`
        sys.stderr.close()
        return exits.FAILED
    except KeyboardInterrupt:
        print("mammo-edge: interrupted", file=sys.stderr)
        return exits.INTERRUPTED


def command_of(name: str) -> Callable[[Namespace], int]:
    """Import a command's function by the name that the parser gives it."""
    module, _, function = name.rpartition(".")
    command: Callable[[Namespace], int] = getattr(import_module(f"edge.cli.{module}"), function)
    return command


if __name__ == "__main__":
    sys.exit(main())
