"""Network namespaces with wires between them, of which nothing is in the host's namespace."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from tests.system.machine import BROKER, DEVICE, run

PACS: Final = "10.77.1.1"
MODALITY: Final = "10.77.2.1"
RECEIVER: Final = "10.77.2.2"
"""The device, as the modality sees it."""
WIRES: Final = ((BROKER, DEVICE), (PACS, "10.77.1.2"), (MODALITY, RECEIVER))
"""The addresses at both ends of each wire to the device."""


@contextmanager
def networks(name: str, *others: str) -> Iterator[tuple[str, ...]]:
    """
    Make the broker's namespace, those of others and the device's, with a wire from each to it.

    Args:
        name: begins the namespaces' names.
        others: names of the PACS and the modality, if they are wanted.
    """
    ours = [f"{name}-{one}" for one in ("broker", *others, "device")]
    device = ours[-1]
    with ExitStack() as stack:
        for namespace in ours:
            run("ip", "netns", "add", namespace)
            stack.callback(subprocess.run, ["ip", "netns", "delete", namespace], check=False)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        for number, namespace in enumerate(ours[:-1]):
            wire = f"wire{number}"
            peer = ("type", "veth", "peer", "name", wire, "netns", device)
            run("ip", "-n", namespace, "link", "add", wire, *peer)
            for end, address in zip((namespace, device), WIRES[number], strict=True):
                run("ip", "-n", end, "address", "add", f"{address}/24", "dev", wire)
                run("ip", "-n", end, "link", "set", wire, "up")
        yield tuple(ours)
