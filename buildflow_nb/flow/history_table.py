"""Histories as a table: a row for each second of the last ten minutes, for ten seconds before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.status.history import NO_BACKLOG, History

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("history_table",)


def history_table(histories: Sequence[History], *, named: bool) -> pd.DataFrame:
    """Rates, latencies and amounts by when they were; with `named`, by processor before.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        msg = "history needs pandas; pip install 'buildflow_nb[tables]'"
        raise UsageError(msg) from error
    frames = {one.processor_id: _frame(one) for one in histories}
    if named and frames:
        table = pd.concat(frames, names=["processor"])
    elif named:
        table = _frame(History(""))
    else:
        (table,) = frames.values()
    table.attrs["marks"] = [
        {"at": mark.at, "processor": mark.processor_id, "kind": mark.kind, "text": mark.text}
        for mark in sorted({mark for one in histories for mark in one.marks}, key=lambda m: m.at)
    ]
    return table


def _frame(history: History) -> pd.DataFrame:
    import pandas as pd

    at, seconds, taken, given, failed, p50, p99, backlog, in_flight = (
        pd.Series(column, dtype=column.typecode) for column in history.rows().columns
    )
    index = pd.DatetimeIndex(pd.to_datetime(at, unit="s", utc=True), name="at")
    columns = {
        "in_per_s": taken / seconds,
        "out_per_s": given / seconds,
        "failed_per_s": failed / seconds,
        "p50_s": p50.astype("float64"),
        "p99_s": p99.astype("float64"),
        "backlog": backlog.astype("Int64").mask(backlog == NO_BACKLOG),
        "in_flight": in_flight.astype("int64"),
        "step_s": seconds.astype("int64"),
    }
    return pd.DataFrame({name: column.array for name, column in columns.items()}, index=index)
