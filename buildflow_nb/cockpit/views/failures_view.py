"""The failures of a processor, grouped: what failed, where, how often, since when, what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.element_fields import fields_table
from buildflow_nb.cockpit.views.failure_groups import Group, grouped
from buildflow_nb.cockpit.views.icons import symbol
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.runtime.observability.failures import FailureRecord

__all__ = ("Told", "failures_html")

MOST_GROUPS = 20
MAX_TRACE = 8_000  # characters of a traceback on the page
BARS, BAR = 14, 4  # of the picture of when, and pixels of one

Off = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Told:
    """How many failed in all, of which the newest are kept, and where a retry writes to."""

    failed: int
    sink: str = ""


def failures_html(
    processor_id: str, found: Sequence[FailureRecord], told: Told, opened: str, off: Off
) -> str:
    """The groups, that of key `opened` with its last element, its traceback and what can be done.

    `off` says why a line cannot be clicked now.
    """
    failed, sink = told.failed, told.sink
    if not found:
        more = f" that is still kept; {failed:,} failed" if failed else ""
        return f'<p class="mute">nothing failed{more}</p>'
    groups = grouped(found)
    opened = opened if any(group.key == opened for group in groups) else groups[0].key
    rows = "".join(_group(processor_id, group, opened, off) for group in groups[:MOST_GROUPS])
    heads = (
        ("what", "l"),
        ("where", "l h7"),
        ("count" if failed <= len(found) else "kept", ""),
        ("when", "l h8"),
        ("first to last", "l h7"),
        ("what to do", ""),
    )
    head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in heads)
    label = quote(f"Failures of {processor_id}, grouped")
    kept = "" if failed <= len(found) else f" The newest {len(found):,} of {failed:,} are kept."
    into = f"Retry writes into {quote(sink, 60)}" if sink else "Retry calls the code again"
    said = f"Try writes nothing. {into}, with the code of this moment.{kept}"
    return (
        f'<div class="inset scroll"><table aria-label="{label}"><thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div><p class="mute small">{said}</p>'
    )


def _group(processor_id: str, group: Group, opened: str, off: Off) -> str:
    is_open = group.key == opened
    count = len(group.failures)
    line = f"%buildflow failures {processor_id} {group.options}"
    opens = markup.attributes(
        type="button", class_="nm text", data_act="group", data_arg=group.key,
        aria_expanded=str(is_open).lower(), title=group.last.error,
    )  # fmt: skip
    what = (
        f"<button{opens}>{symbol('fold' if is_open else 'open')}"
        f'<span class="cut err strong">{quote(group.last.error, 120)}</span></button>'
    )
    word = f"Retry {count:,} into sink" if count > 1 else "Retry into sink"
    deeds = _do("Try one", f"{line} --try", off) + _do(word, f"{line} --retry", off)
    first, last = group.failures[0].at, group.last.at
    times = formats.clock(last)
    times = times if first == last else f"{formats.clock(first)} to {times}"
    cells = (
        f'<td class="l fill">{what}</td><td class="l h7">{quote(group.place, 40)}</td>'
        f'<td>{count:,}</td><td class="l h8">{_when(group)}</td><td class="l h7">{times}</td>'
        f"<td>{deeds}</td>"
    )
    row = markup.attributes(class_="on" if is_open else None, data_key=f"group {group.key}")
    made = f"<tr{row}>{cells}</tr>"
    if is_open:
        key = markup.attributes(class_="drawer", data_key=f"open {group.key}")
        made += f'<tr{key}><td colspan="6">{_opened(processor_id, group, line, off)}</td></tr>'
    return made


def _do(label: str, line: str, off: Off, kind: str = "s") -> str:
    return markup.button(label, "do", line, title=line, class_=kind, off=off(line))


def _when(group: Group) -> str:
    """How often in each part of the time from first to last, as bars."""
    first, last = group.failures[0].at, group.last.at
    span = max(last - first, 1e-9)
    counts = [0] * BARS
    for each in group.failures:
        counts[min(int((each.at - first) / span * BARS), BARS - 1)] += 1
    top = max(counts)
    bars = "".join(
        f'<rect x="{i * BAR}" y="{16 - 14 * n / top:.0f}" width="3" height="{14 * n / top:.0f}"/>'
        for i, n in enumerate(counts)
        if n
    )
    return f'<svg class="bars err" width="{BARS * BAR}" height="16" aria-hidden="true">{bars}</svg>'


def _opened(processor_id: str, group: Group, line: str, off: Off) -> str:
    failed = group.last
    one = f"%buildflow failures {processor_id} --number {failed.number}"
    tries = f"{failed.tries} {'try' if failed.tries == 1 else 'tries'}"
    where = f", {failed.origin}" if failed.origin else ""
    said = (
        f"the last, no. {failed.number}, {formats.clock(failed.at)}{where}: {tries}, {failed.fate}"
    )
    found = f'f for f in app.failures("{processor_id}") if f.number == {failed.number}'
    edit = f"f = next({found})"
    copy = markup.attributes(
        type="button", class_="s", data_copy=f"{edit}\nf.input", title=f"{edit}; f.retry(…)"
    )
    count = len(group.failures)
    deeds = (
        f"<button{copy}>Copy as cell</button>"
        + _do("Retry this one", f"{one} --retry", off)
        + markup.button(
            "Trace", "trace", f"{processor_id} {failed.number}", class_="s",
            title=f"%buildflow trace {processor_id} --failure {failed.number}",
        )
    )  # fmt: skip
    discard = f"Discard {count:,}" if count > 1 else "Discard"
    gone = _do(discard, f"{line} --discard", off, "s danger")
    return (
        f'<div class="cols2 pad"><div><p class="mute small">{quote(said, 200)}</p>'
        f"{fields_table('the element that failed', failed.input)}"
        f'<div class="row under">{deeds}<span class="grow"></span>{gone}</div></div>'
        f"<div>{_trace(failed)}</div></div>"
    )


def _trace(failed: FailureRecord) -> str:
    text = failed.traceback[-MAX_TRACE:]
    frames = len(re.findall(r"^  (?:File|Cell In)", text, re.M))
    said = f"traceback, {frames} frame{'' if frames == 1 else 's'}" if frames else "error"
    return (
        f'<p class="mute small">{said}</p>'
        f'<pre class="inset wrap" tabindex="0">{quote(text.strip())}</pre>'
    )
