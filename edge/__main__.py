"""
The entry point of `mammo-edge`.

Small: every worker process imports the module that started the program.
"""


def main() -> int:
    """Run `mammo-edge`."""
    from edge.cli.main import main as run  # noqa: PLC0415 - see above

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
