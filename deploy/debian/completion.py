"""Shell completion, written from the commands and options of the parser."""

import argparse
from collections.abc import Iterator
from typing import Final

from edge.cli.parser import make_parser

BASH: Final = """\
# bash completion for mammo-edge, written from its options
_mammo_edge() {
  local word command= words= value=
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [ -z "$value" ] || { value=; continue; }
    case $word in
      @VALUED@) value=1 && continue ;;
      -* | */* | *.*) continue ;;
    esac
    [ "$(wc -w <<< "$command")" -ge 2 ] || command="$command${command:+ }$word"
  done
  case $command in
@CASES@
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _mammo_edge mammo-edge
"""
ZSH: Final = """\
#compdef mammo-edge
# zsh completion for mammo-edge, written from its options
local word value
local -a command offered
for word in "${(@)words[2,CURRENT-1]}"; do
  [[ -z $value ]] || { value=; continue }
  case $word in
    @VALUED@) value=1; continue ;;
    -* | */* | *.*) continue ;;
  esac
  (( $#command >= 2 )) || command+=($word)
done
case "$command" in
@CASES@
esac
[[ $words[CURRENT] == -* ]] || offered=(${offered:#-*})
[[ -z $value ]] && compadd -- $offered || _files
"""


def completion() -> str:
    """Write the completion for bash: commands, then the options of a command and files."""
    return filled(BASH, 'words="{}"')


def zsh_completion() -> str:
    """Write the completion for zsh, which offers the same."""
    return filled(ZSH, "offered=({})")


def filled(script: str, offer: str) -> str:
    """
    Write the parser's commands and options into a completion.

    Args:
        script: has the places `@CASES@` and `@VALUED@`.
        offer: the shell's way to offer words.
    """
    parser = make_parser()
    words = {"": [*subparsers(parser), *options(parser)]}
    for name, sub in subparsers(parser).items():
        words[name] = [*subparsers(sub), *options(sub)]
        words |= {f"{name} {child}": options(leaf) for child, leaf in subparsers(sub).items()}
    cases = "\n".join(
        f'    "{name}") {offer.format(" ".join(found))} ;;' for name, found in words.items()
    )
    valued = sorted({name for _, sub in leaves(parser) for name in with_value(sub)})
    return script.replace("@CASES@", cases).replace("@VALUED@", " | ".join(valued))


def with_value(parser: argparse.ArgumentParser) -> list[str]:
    """List the options of a command that a value follows."""
    return [
        name
        for action in parser._actions  # noqa: SLF001
        for name in action.option_strings
        if action.nargs != 0
    ]


def leaves(
    parser: argparse.ArgumentParser, name: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the commands without subcommands, such as `model verify`, with their parsers."""
    below = subparsers(parser)
    if not below:
        yield name, parser
    for child, sub in below.items():
        yield from leaves(sub, f"{name} {child}".strip())


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Give the subcommands of a command, which argparse keeps in a private attribute."""
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    return dict(found[0].choices) if found else {}


def options(parser: argparse.ArgumentParser) -> list[str]:
    """List the long options of a command."""
    return [
        name
        for action in parser._actions  # noqa: SLF001
        for name in action.option_strings
        if name.startswith("--")
    ]
