"""What a stack costs a month once a plan is carried out, and what of that the plan changes.

Usage is what a person says in `usage:` of buildflow.yaml, else what the last run has measured. The
price of what nobody can tell is not known, and is said as such; it is never nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from buildflow_nb.core.known_resources import billed_of
from buildflow_nb.core.pricing import Billed, Priced, Usage
from buildflow_nb.core.primitive import Managed, key_of, label_of
from buildflow_nb.core.status.operations import Op
from buildflow_nb.core.status.plan import Change, Monthly, Price
from buildflow_nb.core.status.stack_view import StackView
from buildflow_nb.infra.prices import ASSUMED_KB, Reckoned, price_rows, reckoned

__all__ = ("KnownUsage", "priced")

MOST_NAMED = 3  # primitives whose price is not known
REGIONS = "us-east-1 and us-central1"
_BY_SIZE = ("gcp:sql/databaseInstance:DatabaseInstance",)  # an update may change its price


@dataclass(frozen=True, slots=True)
class KnownUsage:
    """What is known of how resources are used, by class and id, or by a name.

    `said` is a person's and counts first, `measured` the last run's, on `when` ("30 Nov").
    """

    said: Mapping[str, Usage] = field(default_factory=dict)
    measured: Mapping[str, Usage] = field(default_factory=dict)
    when: str = ""

    def of(self, key: str, label: str) -> Usage:
        """The usage of a primitive."""
        names = (key, key.partition(" ")[2], label)
        told = next((self.said[name] for name in names if name in self.said), Usage())
        return told.over(self.measured.get(key, Usage()))

    def basis(self, keys: Iterable[str]) -> str:
        """At which rates the price is: "at the last run's 120/s (30 Nov)"."""
        found = list(keys)
        said = [k for k in found if self._is_said(k)]
        rates = {self.measured[key].elements_per_s for key in found if key in self.measured} - {
            None
        }
        if said:
            return "at the usage of buildflow.yaml" + (" and the last run's rates" if rates else "")
        when = f" ({self.when})" if self.when else ""
        if len(rates) == 1:
            return f"at the last run's {_rate(next(iter(rates)))}/s{when}"
        return f"at the last run's rates{when}" if rates else "without a run's rates"

    def _is_said(self, key: str) -> bool:
        return key in self.said or key.partition(" ")[2] in self.said


def _rate(value: float | None) -> str:
    return "0" if not value else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004


def priced(
    changes: Iterable[Change],
    after: Iterable[Managed],
    view: StackView,
    usage: KnownUsage,
) -> Price:
    """The price of what there is after a plan; `after` is what is declared then.

    The local cloud is free; what the same would cost on a real one is said beside that.
    """
    changes, after = list(changes), list(after)
    if view.local:
        real = priced(changes, after, replace(view, local=False), usage)
        known = any(monthly.usd for monthly in real.by_owner.values())
        there = f"; on a real cloud, {real.said}" if known else ""
        said = f"free (local cloud){there}"
        return Price(0.0, 0.0, (), real.by_owner, said, real.sources if known else (), free=True)
    found = {change.owner: change.op for change in changes}
    declared = {key_of(one): one for one in after}
    by_owner: dict[str, Monthly] = {}
    rows: dict[str, None] = {}
    sure = True
    for key in [*declared, *(owner for owner in found if owner not in declared)]:
        one = declared.get(key)
        billed = one.billed() if isinstance(one, Priced) else _billed_before(key, view)
        label = label_of(one).partition(" ")[2] if one is not None else ""
        told = reckoned(billed, usage.of(key, label))
        rows |= dict.fromkeys(told.rows)
        by_owner[key] = Monthly(key, told.usd, told.basis, told.missing)
        if key in found and not _is_told(found[key], told, billed):
            sure = False
    total = sum(m.usd or 0.0 for k, m in by_owner.items() if k in declared)
    added = sum(by_owner[k].usd or 0.0 for k, op in found.items() if op is Op.CREATE)
    gone = sum(by_owner[k].usd or 0.0 for k, op in found.items() if op is Op.DELETE)
    unknown = tuple(k for k, monthly in by_owner.items() if k in declared and monthly.usd is None)
    differs = added - gone if sure else None
    price = Price(total, differs, unknown, by_owner, sources=_sources(rows))
    parts = {k: by_owner[k].missing for k in declared if by_owner[k].missing}
    return _with_words(price, usage, rows, parts)


def _is_told(op: Op, told: Reckoned, billed: Billed | None) -> bool:
    """Whether it is known what a change does to the price: it is told before and after."""
    if op in (Op.CREATE, Op.DELETE):
        return told.usd is not None and not told.missing
    return billed is None or billed.type not in _BY_SIZE  # what it had for a size is not known


def _billed_before(key: str, view: StackView) -> Billed | None:
    """What a primitive that nobody declares any more is billed as."""
    known = {row.type for row in price_rows().values()}
    found = [one for one in view.resources if one.owner == key and one.type in known]
    return billed_of(found[0].type, found[0].name) if found else None


def _with_words(
    price: Price,
    usage: KnownUsage,
    rows: Mapping[str, None],
    parts: Mapping[str, Sequence[str]],
) -> Price:
    known = [key for key, monthly in price.by_owner.items() if monthly.usd is not None]
    if not known:
        said = "price not known" if price.by_owner else "nothing to pay for"
    else:
        dates = [row.as_of for name in rows if (row := price_rows()[name]).as_of is not None]
        until = (
            f"list prices of {max(dates)[:7]}, {REGIONS}" if dates else f"list prices, {REGIONS}"
        )
        size = "" if _sizes_known(known, usage) else f", {ASSUMED_KB:g} kB an element"
        more = (
            f"; not known of {_named([_name(key) for key in price.unknown])}"
            if price.unknown
            else ""
        )
        if parts:
            named = [f"{' and '.join(told)} of {_name(key)}" for key, told in parts.items()]
            more += f"; without {_named(named)}"
        least = "at least " if more else ""
        said = (
            f"{usage.basis(known)}{size}: {least}{price.total:,.2f} US dollars a month{more} "
            f"({until}, without free allowances)"
        )
    return Price(price.total, price.change, price.unknown, price.by_owner, said, price.sources)


def _name(key: str) -> str:
    return key.partition(" ")[2] or key


def _named(names: Sequence[str]) -> str:
    named = ", ".join(names[:MOST_NAMED])
    return named + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def _sizes_known(keys: Iterable[str], usage: KnownUsage) -> bool:
    told = [usage.of(key, "") for key in keys]
    rates = [one for one in told if one.elements_per_s is not None]
    return all(one.element_kb is not None for one in rates)


def _sources(rows: Iterable[str]) -> tuple[str, ...]:
    table = price_rows()
    return tuple(
        f"{row.service}, {row.meter}: {row.usd:g} per {row.unit}; {row.source}"
        f"{f', {row.as_of}' if row.as_of else ''}"
        for row in (table[name] for name in rows)
    )
