"""The stores of the local cloud, one row each; a package of its own holds each server."""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.bigquery.store import BIGQUERY
from buildflow_nb.local_cloud.clickhouse.store import CLICKHOUSE
from buildflow_nb.local_cloud.ports import HOST
from buildflow_nb.local_cloud.postgres.store import POSTGRES
from buildflow_nb.local_cloud.snowflake.store import SNOWFLAKE
from buildflow_nb.local_cloud.store import Store

__all__ = ("STORES", "store_endpoints", "store_named", "store_ports")

STORES: Mapping[str, Store] = {
    store.name: store for store in (BIGQUERY, CLICKHOUSE, POSTGRES, SNOWFLAKE)
}


def store_ports() -> tuple[str, ...]:
    """The names of all their ports."""
    return tuple(port for store in STORES.values() for port in store.ports)


def store_endpoints(ports: Mapping[str, int]) -> dict[str, str]:
    """Their addresses, whether they run or not."""
    return {
        name: f"{store.scheme}://{HOST}:{ports[name]}"
        for store in STORES.values()
        for name in store.ports
    }


def store_named(name: str) -> Store:
    """The store that has this name, or an endpoint of this name.

    Raises:
        InfraError: there is none.
    """
    for store in STORES.values():
        if name == store.name or name in store.ports:
            return store
    msg = f"the local cloud has no store {name!r}; there are {', '.join(sorted(STORES))}"
    raise InfraError(msg)
