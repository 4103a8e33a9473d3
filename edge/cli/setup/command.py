"""The command `mammo-edge setup`: ask, plan, apply, check."""

from argparse import Namespace
from pathlib import Path

from edge.cli.doctor import broker
from edge.cli.output import print_table
from edge.cli.setup.apply import check, make_folders, reload_systemd, write
from edge.cli.setup.ask import ASKED, ask_for, read_password
from edge.cli.setup.dropin import addresses
from edge.cli.setup.plan import Answers, plan
from edge.config.paths import credential_of
from edge.config.settings import Settings


def run(arguments: Namespace) -> int:
    """Set a device up; returns the exit status, that of `check` on this machine."""
    answers = _answers(arguments)
    files, settings = plan(answers, arguments.root, addresses)
    write(files)
    make_folders(settings, arguments.root)
    for file in files:
        print(f"wrote {file.path}")
    if arguments.root == Path("/"):
        reload_systemd()
        if status := check(files[0].path):
            return status
    print(f"now: systemctl enable --now {answers.unit.removesuffix('.service')}")
    if arguments.root == Path("/"):
        try_broker(settings, files[0].path)
    return 0


def try_broker(settings: Settings, config: Path) -> None:
    """Print what `mammo-edge doctor` says of the broker, which may only be down for now."""
    if not settings.uses_broker:
        return
    found = list(broker.connection(settings, credential_of(config)))
    print_table(("", "what", "detail"), [(one.level, one.what, one.detail) for one in found])


def _answers(arguments: Namespace) -> Answers:
    said = {name: getattr(arguments, name) for name in ASKED}
    asked = ask_for(said, arguments.root, arguments.instance)
    return Answers(
        password=read_password(arguments.password_file),
        broker=asked["broker"],
        site=asked["site"],
        device=asked["device"],
        inbox=Path(asked["inbox"]) if asked["inbox"] else None,
        username=arguments.username,
        ca=arguments.ca,
        cert=arguments.cert,
        key=arguments.key,
        coral=arguments.coral,
        instance=arguments.instance,
    )
