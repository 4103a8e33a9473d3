"""The command `mammo-edge setup`: ask, plan, apply, check."""

import shlex
from argparse import Namespace
from itertools import chain
from pathlib import Path

from edge.cli import exits
from edge.cli.doctor import broker
from edge.cli.doctor.finding import Level
from edge.cli.layout import shown
from edge.cli.output import print_table
from edge.cli.sample import try_film
from edge.cli.setup.accounts import HERE, Accounts
from edge.cli.setup.answer import check as check_answer
from edge.cli.setup.answers_file import completed
from edge.cli.setup.apply import (
    check,
    has_systemd,
    is_running,
    make_folders,
    reload_systemd,
    start,
    write,
)
from edge.cli.setup.ask import ASKED, agrees, asks, read_password
from edge.cli.setup.dropin import addresses
from edge.cli.setup.facts import facts
from edge.cli.setup.plan import Answers, plan
from edge.cli.setup.questions import ask_person
from edge.config.paths import credential_of
from edge.config.settings import Settings
from edge.errors import ConfigError


def run(arguments: Namespace) -> int:
    """
    Set a device up.

    Returns:
        The exit status: that of `check` on this machine; 1 if a line about the broker failed, or
        if the service was tried and gave no result.

    Raises:
        ConfigError: an answer cannot be taken, or `--try` was said where no systemd runs.
        Unavailable: the service was to be tried, and does not start or gives no result.
    """
    if arguments.tried and not (arguments.root == HERE and has_systemd()):
        msg = "--try: found no running systemd there, which would start the service"
        raise ConfigError(msg)
    answers = _answers(completed(arguments))
    files, settings = plan(answers, arguments.root, addresses)
    accounts = Accounts.of(arguments.root)
    write(files, accounts)
    make_folders(settings, arguments.root, accounts)
    for file in files:
        print(f"wrote {file.path}")
    for line in chain(
        facts(settings, arguments.root, answers.unit), accounts.lacking(settings, arguments.root)
    ):
        print(shown(line))
    status = 0
    if arguments.root == HERE:
        reload_systemd()
        if status := check(files[0].path):
            return status
        status = try_broker(settings, files[0].path)
        if arguments.tried and status:
            print("the service was neither started nor tried")
        elif status == 0 and _tries(arguments, answers.unit):
            start(answers.unit)
            return try_film(settings, files[0].path)
    print(_next(arguments.root, answers.unit, accounts))
    return status


def _next(root: Path, unit: str, accounts: Accounts) -> str:
    """Say what to do next; of another system's tree, nothing here is enabled or started."""
    name = unit.removesuffix(".service")
    if root == HERE:
        return f"now: systemctl {'restart' if is_running(unit) else 'enable --now'} {name}"
    if accounts.user is None:
        return f"on the device, once the package is installed: systemctl enable --now {name}"
    return f"now: systemctl --root {shlex.quote(str(root))} enable {name}"


def _tries(arguments: Namespace, unit: str) -> bool:
    """Say if the service is to be started and tried: by the option, or by a person's answer."""
    if arguments.tried or not (has_systemd() and _is_person(arguments)):
        return bool(arguments.tried)
    running = is_running(unit)
    what = "restart" if running else "start"
    question = f"{what} the service, and publish the result of a sample film"
    return agrees(question, default=not running)


def _is_person(arguments: Namespace) -> bool:
    said = {name: getattr(arguments, name) for name in ASKED}
    return asks(said) and not arguments.answers


def try_broker(settings: Settings, config: Path) -> int:
    """
    Print what `mammo-edge doctor` says of the broker.

    Returns:
        The exit status, 1 if a line failed. All files are written: the broker may be down for now.
    """
    if not settings.uses_broker:
        return 0
    print("trying the broker ...", flush=True)
    found = list(broker.connection(settings, credential_of(config)))
    print_table(("", "what", "detail"), [(one.level, one.what, one.detail) for one in found])
    if all(one.level is not Level.FAILED for one in found):
        return 0
    print("all files are written; the daemon will go on trying until the failed lines are mended")
    return exits.FAILED


def _answers(arguments: Namespace) -> Answers:
    said: dict[str, str | None] = {name: getattr(arguments, name) for name in ASKED}
    for name, value in said.items():
        check_answer(name, value)
    given = Answers(
        broker=said["broker"],
        site=said["site"],
        device=said["device"],
        inbox=Path(said["inbox"]) if said["inbox"] else None,
        username=arguments.username,
        password=read_password(arguments.password_file),
        ca=arguments.ca,
        cert=arguments.cert,
        key=arguments.key,
        coral=arguments.coral,
        instance=arguments.instance,
    )
    return ask_person(given, arguments.root, addresses) if _is_person(arguments) else given
