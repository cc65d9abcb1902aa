"""Where an element's time goes, as one bar and a row for each part: pure functions of a profile."""

from __future__ import annotations

from dataclasses import dataclass

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.status.profile import Profile
from buildflow_nb.core.status.traces import Part, took

__all__ = ("ProfileShown", "profile_html")

_KINDS = {
    Part.WAIT: "k-wait",
    Part.DECODE: "k-form",
    Part.CODE: "k-code",
    Part.ENCODE: "k-form",
    Part.SINK: "k-io",
}
_MEANT = {
    Part.WAIT: "in line, for others of its chunk, or for a thread",
    Part.DECODE: "from the source's form into your type; the share of one element",
    Part.CODE: "your function, for one element",
    Part.ENCODE: "from what you returned into the sink's form; the share of one element",
    Part.SINK: "until the sink has it",
}


def profile_html(profile: Profile) -> str:
    """The last minute of a processor."""
    if not profile.elements:
        return f'<p class="mute">{quote(profile.said)}</p>'
    shares = profile.shares
    said = ", ".join(f"{part.value} {share}" for part, share in shares.items())
    named = markup.attributes(role="img", aria_label=f"{said} per cent of the time of an element")
    stack = "".join(
        f'<i class="{_KINDS[part]}" style="--v:{share}"></i>' for part, share in shares.items()
    )
    rows, at = "", 0
    for part, share in shares.items():
        rows += _row(profile, part, at, share)
        at += share
    return (
        f"{_head(profile)}"
        f'<div class="inset wfbox"><div class="stack"{named}>{stack}</div>'
        f'<div class="wf wf4">{rows}</div></div><p class="small under">{quote(profile.said)}.</p>'
    )


def _head(profile: Profile) -> str:
    workers = f"{profile.workers} worker{'' if profile.workers == 1 else 's'}, "
    if profile.busy is None:
        workers = ""
    rate = f"{workers}{formats.rate(profile.per_s)}/s, {profile.elements:,} elements"
    return (
        f'<div class="row" data-key="head"><b>the last {profile.span_s:.0f} s of '
        f'{quote(profile.processor_id, 60)}</b><span class="mute">{rate}</span></div>'
    )


def _row(profile: Profile, part: Part, at: int, share: int) -> str:
    name = _name(profile, part)
    title = markup.attributes(title=f"{name}: {_MEANT[part]}")
    return (
        f'<span class="cut"{title}>{quote(name, 60)}</span>'
        f'<div class="track bare"><b class="{_KINDS[part]}" style="--a:{at};--w:{share}"></b></div>'
        f'<span class="num">{share} %</span>'
        f'<span class="num mute">{took(profile.times[part])}</span>'
    )


def _name(profile: Profile, part: Part) -> str:
    if part is Part.CODE:
        return "your code"
    if part is Part.SINK:
        return f"sink, {profile.sink}" if profile.sink else "sink (none)"
    return "waiting" if part is Part.WAIT else part.value


@dataclass(frozen=True, slots=True)
class ProfileShown:
    """A profile as a cell shows it."""

    profile: Profile
    at: float

    def __repr__(self) -> str:
        return self.profile.text()

    def _repr_html_(self) -> str:
        name = self.profile.processor_id
        as_of = (
            f'<span class="grow"></span><span class="mute">as of {formats.dated(self.at)}</span>'
        )
        body = f'<div class="pad">{profile_html(self.profile)}</div>'
        return markup.card(f"Profile of {name}", f"<h3>Profile</h3>{as_of}", body)
