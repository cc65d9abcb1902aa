"""The page of a resource: figures, content, then what can be done, each with its line.

It is a pure function of a look. Clicks that only look are `data-act="look"`, with class and id as
`data-arg` and where in it as `data-value`: "prefix:…", "object:…" or "page:…"; `close-look` closes
it. What asks first opens its question by `ask` ("put", "redrive", "purge"; "" puts it away) with
class and id as `data-value`, and is done by `answer`, whose form has one field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.resource_text import resource_text
from buildflow_nb.cockpit.views.resource_values import figure_said, is_number, stands, value_said
from buildflow_nb.core.resource_look import (
    Action,
    Column,
    Content,
    ResourceLook,
    Standing,
    size_said,
)

__all__ = ("PAGE", "LookView", "page_html")

MOST_ROWS = 200  # of a table on a page; the DataFrame has them all
MOST_COLUMNS = 40
_COPIES = re.compile(r"<button[^>]*>(?:copy as cell|✕)</button>")
_BUTTONS = re.compile(r"<button[^>]*>(.*?)</button>", re.DOTALL)
_FIELDS = re.compile(r"<input[^>]*>")
PAGE = "page:"  # before the token of a page, in the place of a prefix
_WORDS = {"put": "Send", "redrive": "Redrive", "purge": "Purge"}


def page_html(
    look: ResourceLook, *, flow: str = "", asking: str = "", typed: str = "", wrong: str = ""
) -> str:
    """The page, without a frame of its own.

    `flow` is where its path begins, and a click there closes it. `asking` is the action that asks
    ("put", "redrive" or "purge"), `typed` what stands in its field, `wrong` what is wrong with it.
    """
    parts = [_head(look, flow), _standing(look), _figures(look), _path(look)]
    parts += [_content(look, content) for content in look.contents]
    parts += [_foot(look), _question(look, asking, typed, wrong), _actions(look)]
    return f'<div class="page" role="region" aria-label="{_label(look)}">{"".join(parts)}</div>'


class LookView:
    """A look as an output of a cell."""

    def __init__(self, look: ResourceLook) -> None:
        self.look = look

    def __repr__(self) -> str:
        return resource_text(self.look)

    def _repr_html_(self) -> str:
        body = page_html(self.look).replace(' class="page"', ' class="page still"', 1)
        return markup.card(f"{self.look.kind} {self.look.name}", "", _still(body))


def _still(html: str) -> str:
    """A page without buttons, since nobody hears them in a saved notebook.

    Between a button's tags stands its text alone, with all that could end it quoted.
    """
    return _FIELDS.sub("", _BUTTONS.sub(r"\1", _COPIES.sub("", html)))


def _label(look: ResourceLook) -> str:
    return quote(f"{look.kind} {look.name}")


def _head(look: ResourceLook, flow: str) -> str:
    shape, tone = stands(look)
    word = {Standing.THERE: "there"}.get(look.standing, look.standing.value)
    back = ""
    if flow:
        back = f'{markup.button(flow, "close-look", class_="text")}<span class="mute">/</span>'
    roles = "".join(f'<span class="mute small">{quote(role)}</span>' for role in look.roles[:4])
    state = (
        f'<span class="{tone}"><i class="shape" aria-hidden="true">{shape}</i>{quote(word)}</span>'
    )
    again = markup.button("Look again", "look", look.key, data_value=_where(look), class_="text")
    at = f'<span class="mute small">as of {formats.clock(look.at)}</span>' if look.at else ""
    close = markup.button("✕", "close-look", aria_label="close", class_="text") if flow else ""
    return (
        f'<header>{back}<h3 class="cut" title="{quote(look.place or look.key)}">'
        f'{quote(look.name)}</h3><span class="pill">{quote(look.kind)}</span>{state}{roles}'
        f'<span class="grow"></span>{at}{again if flow else ""}{close}</header>'
    )


def _where(look: ResourceLook) -> str:
    return f"object:{look.key_shown}" if look.key_shown else f"prefix:{look.prefix}"


def _standing(look: ResourceLook) -> str:
    if look.there and not look.said:
        return ""
    _, tone = stands(look)
    cure = f' <span class="mute">{quote(look.cure)}</span>' if look.cure else ""
    return f'<div class="pad {tone}" role="status">{quote(look.said)}{cure}</div>'


def _figures(look: ResourceLook) -> str:
    if not look.figures:
        return ""
    shown = "".join(
        f"<div><b>{quote(figure_said(one))}</b><span>{quote(one.label)}</span></div>"
        for one in look.figures
    )
    return f'<div class="stats">{shown}</div>'


def _path(look: ResourceLook) -> str:
    """Where in a bucket one is: each folder leads back to itself."""
    if not any(content.title == "Objects" for content in look.contents):
        return ""
    steps = [markup.button(look.name, "look", look.key, data_value="prefix:", class_="text")]
    parts = look.prefix.split("/")
    for i, part in enumerate(parts[:-1]):
        prefix = "prefix:" + "/".join(parts[: i + 1]) + "/"
        steps.append(markup.button(part, "look", look.key, data_value=prefix, class_="text"))
    rest = f"<b>{quote(parts[-1])}</b>" if parts[-1] else ""
    line = '<span class="mute"> / </span>'.join([*steps, rest])
    field = markup.attributes(
        name="prefix",
        type="text",
        value=look.prefix,
        placeholder="prefix",
        aria_label="prefix",
        data_act="look",
        data_arg=look.key,
    )
    find = f'<span class="grow"></span><input{field}>'
    return f'<div class="row pad under"><span>{line}</span>{find}</div>'


def _content(look: ResourceLook, content: Content) -> str:
    columns = content.columns[:MOST_COLUMNS]
    listed = content.title == "Objects"
    rows = [
        [
            _cell(look, column, value, listed=listed)
            for column, value in zip(columns, row, strict=False)
        ]
        for row in content.rows[:MOST_ROWS]
    ]
    numbers = [
        any(is_number(row[i]) for row in content.rows)
        and all(is_number(row[i]) or row[i] is None for row in content.rows)
        for i in range(len(columns))
    ]
    heads = [_head_cell(one, right=right) for one, right in zip(columns, numbers, strict=True)]
    more = [f"{len(content.rows) - MOST_ROWS:,} more rows"] if len(content.rows) > MOST_ROWS else []
    hidden = len(content.columns) - MOST_COLUMNS
    more += [f"{hidden} more columns"] if hidden > 0 else []
    said = "; ".join(filter(None, (content.said, *more))) or ("" if rows else "nothing there")
    top = "" if listed else f'<b class="cut">{quote(content.title)}</b>'
    top += f'<span class="mute small">{quote(said)}</span>' if said else ""
    top = f'<div class="row pad">{top}</div>' if top else ""
    body = markup.table(content.title, heads, rows) if rows and columns else ""
    return f'<div class="box">{top}<div class="wide tall" tabindex="0">{body}</div></div>'


def _head_cell(column: Column, *, right: bool) -> markup.Cell:
    named = column.type and column.type != "bytes"  # which stands with each number
    kind = f' <span class="mute">{quote(column.type)}</span>' if named else ""
    return f"{quote(column.name)}{kind}", "" if right else "l"


def _cell(look: ResourceLook, column: Column, value: object, *, listed: bool) -> markup.Cell:
    if listed and column.name == "key" and isinstance(value, str):
        shown = value[look.prefix.rfind("/") + 1 :] or value
        place = f"{'prefix' if value.endswith('/') else 'object'}:{value}"
        open_ = markup.button(shown, "look", look.key, data_value=place, class_="text", title=value)
        return open_, "l w"
    if column.type == "bytes" and isinstance(value, int):
        return quote(size_said(value)), ""
    if value is None:
        return '<span class="mute">null</span>' if not listed else "", "l"
    text = value_said(value)
    if is_number(value):
        return quote(text), ""
    return f'<span class="name" title="{quote(text)}">{quote(text)}</span>', "l"


def _foot(look: ResourceLook) -> str:
    notes = "".join(f"<span>{quote(note)}</span>" for note in look.notes)
    more = ""
    if look.next_page:
        value = f"{PAGE}{look.next_page}"
        more = '<span class="grow"></span>' + markup.button(
            "more", "look", look.key, data_value=value, class_="text"
        )
    return f"<footer>{notes}{more}</footer>" if notes or more else ""


def _question(look: ResourceLook, asking: str, typed: str, wrong: str) -> str:
    if asking not in _WORDS or not look.there:
        return ""
    label, name = _asked(look, asking)
    field = ""
    if name:
        words = markup.attributes(
            name=name, type="text", value=typed, autocomplete="off", data_focus=True
        )
        field = f"<label>{label}<input{words}></label>"
    said = f'<span class="err" role="alert">✕ {quote(wrong)}</span>' if wrong else ""
    kind = "danger" if asking == "purge" else "primary"
    do = markup.button(_WORDS[asking], "answer", asking, data_value=look.key, class_=kind)
    no = markup.button("Cancel", "ask", "")
    text = field or f"<span>{label}</span>"
    inside = f'{text}{said}<span class="grow"></span>{no}{do}'
    return f'<div class="row pad" data-form data-question>{inside}</div>'


def _asked(look: ResourceLook, asking: str) -> tuple[str, str]:
    held = quote(str(look.held)) if look.held is not None else "all messages"
    if asking == "put":
        return "message, JSON or text ", "element"
    if asking == "purge":
        return f"deletes {held}; type <b>{quote(look.name)}</b> to do it ", "typed"
    return f"takes {held} out, and puts what failed back where it came from", ""


def _actions(look: ResourceLook) -> str:
    rows = "".join(_rows(look, look.actions))
    return f'<div class="acts">{rows}</div>' if rows else ""


def _rows(look: ResourceLook, actions: Sequence[Action]) -> Iterator[str]:
    for one in actions:
        kind = "danger" if one.danger else None
        if one.asks:
            word = one.line.split()[1]
            button = markup.button(one.label, "ask", word, data_value=look.key, class_=kind)
        elif one.line.startswith("%buildflow look"):
            button = markup.button(one.label, "do", one.line, class_=kind)
        else:
            copied = markup.attributes(type="button", data_copy=one.line)
            button = f"<button{copied}>{quote(one.label)}</button>"
        copy = markup.attributes(type="button", class_="text", data_copy=one.line)
        yield (
            f'{button}<code class="cut" title="{quote(one.line)}">{quote(one.line)}</code>'
            f"<button{copy}>copy as cell</button>"
        )
