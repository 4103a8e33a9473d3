"""Imports of the product go one way and not far; import-linter holds the layers."""

from functools import cache
from typing import Final

import grimp
import pytest

LONGEST: Final = 12
"""Modules of a chain of imports."""


@cache
def imports(package: str) -> dict[str, frozenset[str]]:
    """The modules that each module imports, wherever in it."""
    graph = grimp.build_graph(package, cache_dir=None)
    return {
        module: frozenset(graph.find_modules_directly_imported_by(module)) - {module}
        for module in graph.modules
    }


def longest_chain(package: str) -> list[str]:
    """The longest chain of imports; a circle is a chain that meets itself."""
    chains: dict[str, list[str]] = {}

    def follow(module: str, way: list[str]) -> list[str]:
        assert module not in way, f"a circle: {' > '.join([*way, module])}"
        if module not in chains:
            below = [follow(one, [*way, module]) for one in sorted(imports(package)[module])]
            chains[module] = [module, *max(below, key=len, default=[])]
        return chains[module]

    return max((follow(module, []) for module in sorted(imports(package))), key=len)


@pytest.mark.parametrize("package", ["edge", "train"])
def test_imports_make_no_circle_and_no_long_chain(package: str) -> None:
    chain = longest_chain(package)
    assert len(imports(package)) > 50
    assert len(chain) <= LONGEST, " > ".join(chain)
