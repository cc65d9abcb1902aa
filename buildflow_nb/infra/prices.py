"""What resources cost a month, by list prices that the package carries, each with its source.

A month has 730 hours, prices are in US dollars, of one region, without free allowances, discounts
and taxes; `prices.json` has for each where it is from, and of when. What depends on usage is
computed from how the flow uses the resource:

* SQS bills requests of 64 KB: a batch of ten is one send, one receive and one delete as long as it
  is no larger, and an idle consumer still receives every 20 seconds. Batches are taken to fill as
  the rate grows: one element each up to 10 a second, ten from 100 a second on.
* Pub/Sub bills the bytes that are published and those that are delivered, 1 KB at least a request.
* S3 and Cloud Storage bill each object that is written; a bucket's sink writes one a second, or one
  for 5,000 elements.
* BigQuery bills bytes written, by the method, and bytes that lie there and are scanned.
* Cloud SQL bills hours of the machine, and its disk.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from buildflow_nb.core.pricing import Billed, Usage

__all__ = ("MONTH_S", "PriceRow", "Reckoned", "price_rows", "reckoned")

HOURS = 730
MONTH_S = HOURS * 3_600
CHUNK_KB = 65.536  # 64 KB as SQS counts, in kB of 1,000 bytes
BATCH = 10  # messages of one request of SQS
FULL_FROM_PER_S = 100.0  # elements a second from which on batches are full
POLL_S = 20.0  # of a long poll that finds nothing
PUSH = 5_000  # elements in one object of a bucket
ASSUMED_KB = 1.0
TIB, GB = 1024.0**4, 1e9
CUSTOM = re.compile(r"db-custom-(\d+)-(\d+)")
DISK_GB = 10.0  # the least that there is


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One list price: `usd` for a `unit` of a meter; `as_of` is a date, or None where none is told.

    `free` says what of it is free each month, which is left out here.
    """

    id: str
    service: str
    type: str
    region: str
    meter: str
    unit: str
    usd: float
    free: str
    source: str
    as_of: str | None


@cache
def price_rows() -> Mapping[str, PriceRow]:
    """The table, by id."""
    rows = json.loads((Path(__file__).parent / "prices.json").read_text("utf-8"))
    return {row["id"]: PriceRow(**row) for row in rows}


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A price a month; None where it is not known, and `basis` then says why.

    `rows` are the ids of the prices that it is made of. `missing` names what is billed as well and
    depends on usage that is not known: with any of it `usd` is the least that it costs.
    """

    usd: float | None
    basis: str
    rows: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def reckoned(billed: Billed | None, usage: Usage) -> Reckoned:
    """What something costs a month."""
    if billed is None:
        return Reckoned(None, "no price of it is known")
    if billed.inside:
        return Reckoned(0.0, f"paid with {billed.inside}")
    formula = _FORMULAS.get(billed.type)
    if formula is None:
        return Reckoned(None, "no price of it is known")
    usage = usage.plausible()
    parts, missing = formula(billed.facts, usage)
    if not parts:
        meters = [row for row in price_rows().values() if row.type == billed.type and row.usd]
        told = ", ".join(f"{row.usd:g} per {row.unit}" for row in meters[:2])
        return Reckoned(None, f"depends on usage: {told}", tuple(row.id for row in meters[:2]))
    rows = price_rows()
    usd = sum(quantity * rows[name].usd for name, quantity, _ in parts)
    basis = ", ".join(
        f"{said} at {rows[name].usd:g} per {rows[name].unit}" for name, _, said in parts
    )
    if missing:
        basis += f", without {' and '.join(missing)}, which nobody knows"
    return Reckoned(usd, basis, tuple(name for name, _, _ in parts), tuple(missing))


Part = tuple[str, float, str]  # the id of a price, how many of its units, in words
Parts = tuple[list[Part], list[str]]  # and the names of those that are not known
Formula = Callable[[Mapping[str, object], Usage], Parts]


def _batch(per_s: float) -> float:
    """Elements in one request, which fill as the rate grows."""
    return max(1.0, min(BATCH, BATCH * per_s / FULL_FROM_PER_S))


def _kb(usage: Usage) -> float:
    return ASSUMED_KB if usage.element_kb is None else usage.element_kb


def _queue(facts: Mapping[str, object], usage: Usage) -> Parts:
    rate = usage.elements_per_s
    if rate is None:
        return [], []
    batch = _batch(rate)
    calls = rate / batch
    chunks = max(1, math.ceil(batch * _kb(usage) / CHUNK_KB))
    receives = max(calls * chunks, 1 / POLL_S)
    millions = (calls * chunks + receives + calls) * MONTH_S / 1e6
    name = "sqs-fifo" if facts.get("fifo") else "sqs-standard"
    each = f", {batch:.2g} elements each" if batch > 1 else ""
    return [(name, millions, f"{_count(millions)}M requests{each}")], []


def _bucket(storage: str, write: str) -> Formula:
    def formula(facts: Mapping[str, object], usage: Usage) -> Parts:  # noqa: ARG001
        parts: list[Part] = []
        if usage.elements_per_s is not None:
            per_object = max(1.0, min(PUSH, usage.elements_per_s))
            thousands = usage.elements_per_s / per_object * MONTH_S / 1_000
            parts.append((write, thousands, f"{_count(thousands * 1_000)} objects written"))
        if usage.storage_gb is not None:
            parts.append((storage, usage.storage_gb, f"{usage.storage_gb:g} GB"))
        return parts, _missing(usage, elements_per_s="writes", storage_gb="storage")

    return formula


def _pubsub(name: str) -> Formula:
    def formula(facts: Mapping[str, object], usage: Usage) -> Parts:  # noqa: ARG001
        rate = usage.elements_per_s
        if rate is None:
            return [], []
        batch = _batch(rate)
        kb_per_s = rate / batch * max(1.0, batch * _kb(usage))
        tib = kb_per_s * 1_000 * MONTH_S / TIB
        return [(name, tib, f"{tib:.3g} TiB")], []

    return formula


def _table(facts: Mapping[str, object], usage: Usage) -> Parts:
    parts: list[Part] = []
    method = str(facts.get("method", "storage_write"))
    if usage.elements_per_s is not None:
        kb = max(1.0, _kb(usage)) if method == "insert_all" else _kb(usage)
        gb = usage.elements_per_s * kb * 1_000 * MONTH_S / GB
        name = {"insert_all": "bigquery-insert", "load": "bigquery-load"}.get(
            method, "bigquery-write"
        )
        parts.append((name, gb, f"{_count(gb)} GB written"))
    if usage.storage_gb is not None:
        parts.append(("bigquery-storage", usage.storage_gb, f"{usage.storage_gb:g} GB"))
    if usage.scanned_tib is not None:
        parts.append(("bigquery-scan", usage.scanned_tib, f"{usage.scanned_tib:g} TiB scanned"))
    missing = _missing(usage, elements_per_s="writes", storage_gb="storage", scanned_tib="scans")
    return parts, [one for one in missing if one != "writes" or method != "load"]  # which is free


def _instance(facts: Mapping[str, object], usage: Usage) -> Parts:
    tier, times = str(facts.get("tier", "")), 2.0 if facts.get("regional") else 1.0
    given = facts.get("disk_gb")
    disk = usage.storage_gb or (float(given) if isinstance(given, (int, float)) else DISK_GB)
    custom = CUSTOM.fullmatch(tier)
    hours = HOURS * times
    if custom:
        cpus, memory = int(custom[1]), int(custom[2]) / 1_024
        parts = [
            ("cloudsql-vcpu", cpus * hours, f"{cpus} vCPU"),
            ("cloudsql-memory", memory * hours, f"{memory:g} GB of memory"),
        ]
    elif tier in ("db-f1-micro", "db-g1-small"):
        parts = [(tier.replace("db", "cloudsql", 1), hours, f"{tier}, {HOURS} hours")]
    else:
        return [], []
    return [*parts, ("cloudsql-disk", disk * times, f"{disk:g} GB of disk")], []


def _missing(usage: Usage, **names: str) -> list[str]:
    """The names of those numbers of a usage that are not known."""
    return [name for word, name in names.items() if getattr(usage, word) is None]


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"  # noqa: PLR2004


_FORMULAS: Mapping[str, Formula] = {
    "aws:sqs/queue:Queue": _queue,
    "aws:s3/bucket:Bucket": _bucket("s3-storage", "s3-put"),
    "gcp:storage/bucket:Bucket": _bucket("gcs-storage", "gcs-class-a"),
    "gcp:pubsub/topic:Topic": _pubsub("pubsub-published"),
    "gcp:pubsub/subscription:Subscription": _pubsub("pubsub-delivered"),
    "gcp:bigquery/table:Table": _table,
    "gcp:sql/databaseInstance:DatabaseInstance": _instance,
}
