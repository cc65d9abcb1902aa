"""The page of a resource in one panel: looked at again now and then, as long as it is open.

A look runs on a thread of its own, one at a time, and never holds up what is drawn: until it is
there, the page says that it looks, and afterwards it shows what was seen last. What vanishes while
its page is open is told by the next look.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.resource_page import PAGE, page_html
from buildflow_nb.core.errors import BuildFlowError, UsageError
from buildflow_nb.core.resource_look import ResourceLook, Standing
from buildflow_nb.flow import Flow
from buildflow_nb.flow.resource_actions import quoted
from buildflow_nb.flow.resource_masks import has_secrets

__all__ = ("ResourcePages",)

EVERY_S = {True: 5.0, False: 30.0}  # between two looks, on the local and on a real cloud


@dataclass(frozen=True, slots=True)
class _Place:
    """What is looked at: a resource of a flow, and where in it."""

    flow: int
    resource: str
    prefix: str
    key: str
    page: str


class ResourcePages:
    """The one page that is open."""

    def __init__(self, cockpit: Cockpit) -> None:
        self._cockpit = cockpit
        self._lock = threading.Lock()
        self._shown: tuple[_Place, ResourceLook] | None = None
        self._looked_at = 0.0
        self._busy = False
        self._resource = self._token = self._asking = self._typed = self._wrong = ""
        self._drawn: tuple[tuple[object, ...], str] = ((), "")

    def html(self, flow: Flow, resource: str, prefix: str, key: str) -> str:
        """The page of what is open, "" for nothing; begins a look where one is due."""
        if resource != self._resource:
            self._resource, self._token, self._asking = resource, "", ""
            self._shown = None
        if not resource:
            return ""
        place = _Place(id(flow), resource, prefix, key, self._token)
        self._look_again(flow, place)
        shown = self._shown
        if shown is None:
            return f'<div class="box pad" role="status">looking into {quote(resource)} …</div>'
        words = {"asking": self._asking, "typed": self._typed, "wrong": self._wrong}
        drawn = (shown[1], flow.flow_id, *words.values())
        if self._drawn[0] != drawn:
            html = page_html(shown[1], flow=flow.flow_id, **words)
            self._drawn = (drawn, f'<div class="box" data-view>{html}</div>')
        return self._drawn[1]

    def turned(self, value: str) -> bool:
        """Take a click that turns the page; whether it was one."""
        turned = value.startswith(PAGE)
        self._token = value.removeprefix(PAGE) if turned else ""
        return turned

    def act(self, act: str, arg: str, value: str, typed: Mapping[str, Any]) -> None:
        """Take a click on a question: `ask` opens one or puts it away, `answer` does it.

        Raises:
            UsageError: there is no such resource, or no such action.
        """
        if act == "ask":
            self._asking, self._typed, self._wrong = arg, "", ""
            return
        text = str(typed.get("element", typed.get("typed", ""))).strip()
        resource = self._cockpit.flow().resource(value)
        name, shown = quoted(resource.name), ""
        self._typed, self._wrong = text, ""
        if arg == "purge":
            if text != resource.name:
                self._wrong = f"type {resource.name} to do it"
                return
            line = f"%buildflow purge {name} --yes {name}"
        elif arg == "redrive":
            line = f"%buildflow redrive {name}"
        elif arg == "put":
            if not text:
                self._wrong = "type a message"
                return
            line = f"%buildflow put {name} {_in_a_line(text)}"
            shown = f"%buildflow put {name} {{…}}" if has_secrets(resource.uses) else ""
        else:
            msg = f"no action {arg!r} of a resource"
            raise UsageError(msg)
        self._cockpit.clicks.click(line, shown)
        self._asking = ""
        self._looked_at = 0.0  # it may have changed

    def _look_again(self, flow: Flow, place: _Place) -> None:
        with self._lock:
            same = self._shown is not None and self._shown[0] == place
            every_s = EVERY_S[flow.place.local]
            if self._busy or (same and time.monotonic() - self._looked_at < every_s):
                return
            self._busy = True
        work = threading.Thread(
            target=self._look, args=(flow, place), name="buildflow look", daemon=True
        )
        work.start()

    def _look(self, flow: Flow, place: _Place) -> None:
        try:
            look = flow.resource(place.resource).look(
                prefix=place.prefix, key=place.key, page=place.page
            )
        except (BuildFlowError, TimeoutError) as error:
            look = ResourceLook(
                place.resource,
                "resource",
                place.resource,
                standing=Standing.UNREACHED,
                said=str(error),
                at=time.time(),
            )
        with self._lock:
            self._busy = False
            self._looked_at = time.monotonic()
            if place.resource == self._resource:
                self._shown = (place, look)
        self._cockpit.changed()


def _in_a_line(text: str) -> str:
    """A message in one line: JSON without line ends, text as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return " ".join(text.split())
