"""The list of installed bundles that `mammo-edge model list` and `command/model/list` show."""

from typing import Any

from edge.errors import MammoEdgeError, StartupError
from edge.models.active import SHIPPED
from edge.models.bundle import Bundle
from edge.models.signature import signer
from edge.models.store import ModelStore


def listing(store: ModelStore) -> list[dict[str, Any]]:
    """
    Return every installed bundle: id, name, version, signer, and `serves`: `now`, `before` or None.

    A bundle that cannot be read has the reason for its name.

    Raises:
        ModelError: the choice of what serves cannot be read.
    """
    active = store.active()
    serves = {active.previous: "before", active.current: "now"}
    return [
        _row(store, name, bundle) | {"serves": serves.get(name)}
        for name, bundle in store.bundles().items()
    ]


def _row(store: ModelStore, name: str, bundle: Bundle | MammoEdgeError) -> dict[str, Any]:
    if not isinstance(bundle, Bundle):
        return {"bundle": name, "name": str(bundle), "version": None, "signed_by": None}
    try:
        by = "the package" if name == SHIPPED else signer(bundle.folder, store.trust.keys)
    except StartupError as error:
        by = str(error)
    return {
        "bundle": SHIPPED if name == SHIPPED else bundle.bundle_id,
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "signed_by": by,
    }
