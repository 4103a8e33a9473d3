"""The commands `mammo-edge model ...`."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.cli.arguments import add

if TYPE_CHECKING:
    from edge.cli.arguments import Commands

FOLDER: Final = "the bundle's folder"


def add_models(commands: "Commands") -> None:
    """Add the commands about bundles that are installed on this device."""
    text = "list the installed bundles, and which of them serves"
    add(commands, "list", "models.run_list", text)
    text = "check a bundle: hashes, load, shapes, known answers; and say who signed it"
    verify = add(commands, "verify", "models.run_verify", text)
    text = f"{FOLDER} (default: what serves)"
    verify.add_argument("bundle", nargs="?", type=Path, metavar="DIR", help=text)
    text = "copy a bundle beside the others, once its signature and known answers are right"
    install = add(commands, "install", "models.run_install", text)
    install.add_argument("bundle", type=Path, metavar="DIR", help=FOLDER)
    install.add_argument("--activate", action="store_true", help="and have it serve")
    text = "have an installed bundle serve, after proving it, without losing an image"
    activate = add(commands, "activate", "models.run_activate", text)
    text = "an id or its beginning, a version, or shipped"
    activate.add_argument("bundle", metavar="BUNDLE", help=text)
    for command in (install, activate):
        text = "activate it also if it was measured to be no better than chance"
        command.add_argument("--force", action="store_true", help=text)
    text = "go back to the bundle that served before"
    add(commands, "rollback", "models.run_rollback", text)
    text = "forget an installed bundle that neither serves nor served last"
    remove = add(commands, "remove", "models.run_remove", text)
    text = "an id or its beginning, or a version"
    remove.add_argument("bundle", metavar="BUNDLE", help=text)


def add_bundles(commands: "Commands") -> None:
    """Add the commands that make bundles ready for devices."""
    text = "sign a bundle, so that devices that know the key take it"
    sign = add(commands, "sign", "bundles.run_sign", text)
    sign.add_argument("bundle", type=Path, metavar="DIR", help=FOLDER)
    text = "private key: openssl genpkey -algorithm ed25519"
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help=text)
    text = "put what edgetpu_compiler made of a bundle's int8 model beside it, in a new bundle"
    compiled = add(commands, "edgetpu", "bundles.run_edgetpu", text)
    compiled.add_argument("bundle", type=Path, metavar="DIR", help=FOLDER)
    compiled.add_argument("compiled", type=Path, metavar="FILE", help="the compiled model")
    text = "the new bundle's folder; sign it anew"
    compiled.add_argument("out", type=Path, metavar="OUT", help=text)
    text = (
        "hand a bundle to devices through the broker: announced, "
        "and in chunks, until it is withdrawn"
    )
    publish = add(commands, "publish", "publish.run_publish", text)
    publish.add_argument("bundle", type=Path, metavar="DIR", help=FOLDER)
    text = "take away what is announced to devices, chunks and all"
    withdraw = add(commands, "withdraw", "publish.run_withdraw", text)
    text = "may be repeated (default: the configuration's)"
    for to in (publish, withdraw):
        to.add_argument("--to", action="append", default=[], metavar="SITE/DEVICE", help=text)
