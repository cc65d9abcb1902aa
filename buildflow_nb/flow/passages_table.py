"""Passages as a table: a column for each field, and when it passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from buildflow_nb.core.conversion.annotations import optional_of, record_hints, record_values
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, EndpointSpec, ProcessorSpec
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.status.snapshot import Passage

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("EDGES", "table")

EDGES = ("in", "out")
AT, OUR_AT = "at", "passed_at"  # the second where elements have a field of that name


def table(spec: ProcessorSpec, passages: Sequence[Passage], edge: str, most: int) -> pd.DataFrame:
    """The last `most` inputs or results, oldest first; with the declared columns if there are none.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        msg = "tap needs pandas; pip install 'buildflow_nb[tables]'"
        raise UsageError(msg) from error
    if edge == "in":
        found = [(passage.at, passage.element) for passage in passages]
    else:
        found = [(passage.at, result) for passage in passages for result in passage.results]
    found = found[-most:]
    rows = [_row(value) for _, value in found]
    names = dict.fromkeys(_declared(spec, edge) if not rows else ())
    for row in rows:
        names.update(dict.fromkeys(row))
    at = OUR_AT if AT in names else AT
    columns = {at: pd.to_datetime([when for when, _ in found], unit="s", utc=True)}
    columns |= {name: [row.get(name) for row in rows] for name in names}
    return pd.DataFrame(columns)


def _row(value: Any) -> dict[str, Any]:
    """A value's fields; one without fields is a field by itself."""
    found = record_values(value)
    return {"value": value} if found is None else found


def _declared(spec: ProcessorSpec, edge: str) -> Sequence[str]:
    if edge == "out":
        hint = spec.processor.returns if isinstance(spec, EndpointSpec) else spec.output_type
    elif isinstance(spec, ConsumerSpec):
        hint = spec.input_type
    else:
        return [parameter.name for parameter in spec.processor.parameters]
    return list(record_hints(optional_of(hint)[0])) or ["value"]
