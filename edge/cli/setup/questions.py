"""All questions of `setup` to a person, in their order; the broker is tried in between."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.cli.setup.access import Access, ask_for_access
from edge.cli.setup.ask import affirms, ask_for, stoppable
from edge.cli.setup.config_file import tables_of
from edge.cli.setup.instance import config_of
from edge.cli.setup.plan import Answers, host_and_port
from edge.cli.setup.reach import fault
from edge.mqtt.tls import is_loopback

ALL_THE_SAME: Final = "go on all the same, as the broker may not be up yet"


def ask_person(given: Answers, root: Path, resolve: Callable[[str], list[str]]) -> Answers:
    """
    Ask a person for what the options did not say.

    Args:
        given: the options' answers, without a broker.
        root: `/`, or another system's tree.
        resolve: returns a host's addresses as text; an empty list if it has none.

    Raises:
        ConfigError: the person wants no more questions, or the configuration cannot be read or
            used.
    """
    answers = _ask_for_broker(given, root, resolve)
    inbox = str(given.inbox) if given.inbox else None
    rest = {"site": given.site, "device": given.device, "inbox": inbox}
    asked = ask_for(rest, root, given.instance, resolve)
    return replace(
        answers,
        site=asked["site"],
        device=asked["device"],
        inbox=Path(asked["inbox"]) if asked["inbox"] else None,
    )


def _ask_for_broker(given: Answers, root: Path, resolve: Callable[[str], list[str]]) -> Answers:
    """Ask for the broker and the way into it until it answers, or the person goes on."""
    first = kept = Access(given.username, given.password, given.ca, given.cert, given.key)
    said: str | None = None
    while True:
        said = ask_for({"broker": None}, root, given.instance, resolve, meant=said)["broker"]
        known = tables_of(config_of(root, given.instance)).get("broker", {})
        host = host_and_port(said)[0] if said else None
        with stoppable():
            access = ask_for_access(first if host and is_loopback(host) else kept, said, known)
        answers = replace(
            given,
            broker=said,
            username=access.username,
            password=access.password,
            ca=access.ca,
            cert=access.cert,
            key=access.key,
        )
        if host and not resolve(host):  # the person took it all the same
            return answers
        found = fault(answers, root)
        if found is None:
            print("broker: it answers")
            return answers
        print(f"broker: {found.why}")
        with stoppable():
            if affirms(ALL_THE_SAME, default=False):
                return answers
        kept = first if found.of_access else access
