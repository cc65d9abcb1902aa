"""The live half of a view: a widget with one state trait, and the messages that come back.

`parts` maps the name of a part to its HTML, in the order in which they stand; it is the whole
state, so a page that is loaded again shows the same. The browser's side (`static/view.js`) only
puts parts into place.

Nobody looks at a view whose output was cleared or whose page was closed: nothing is sent to it. A
page says when it shows the view and when it no longer does, and since one that is closed may say
nothing, it is asked now and then. Where no page is heard while a cell runs, nobody is given up
then. (The widgets' own count of views is not enough: a page that is loaded again never takes its
earlier view off.)
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from buildflow_nb.cockpit.panel.pieces import Pieces
from buildflow_nb.cockpit.views.markup import style_sheet
from buildflow_nb.notebook.subshell import hear_where_sent

__all__ = ("WIDGET_VIEW", "View")

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
ANSWER_S = 10.0  # for a page to say that it still shows the view
MOST_PAGES = 64  # that are remembered
_LOGGER = logging.getLogger(__name__)

Act = Callable[[Mapping[str, Any]], None]


class View:
    """A widget on the screen; used from any thread, made and closed on the kernel's main thread.

    `act` takes what was clicked, on the main thread or on that of a subshell, beside the cell that
    runs. `hears` says whether the kernel's main thread hears messages now.
    """

    def __init__(
        self,
        label: str,
        parts: Mapping[str, str],
        act: Act,
        hears: Callable[[], bool] = lambda: True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.twin = uuid.uuid4().hex[:12]
        self._act = act
        self._hears = hears
        self._now = now
        self._pages: set[str] = set()
        self._asked_at: float | None = None
        self._asked: set[str] = set()  # pages that have not answered yet
        self._beside = False  # whether the page's last message came on another thread than cells do
        self._widget = _widget_class()(label=label, parts=dict(parts), twin=self.twin)
        # What is told is the widget's state: a page that is loaded again is given all of it.
        self._pieces = Pieces({})
        self._pieces.told = self._widget.parts
        self._pieces.label = label
        self._widget.on_msg(self._hear)
        hear_where_sent(self._widget.comm)

    @property
    def watched(self) -> bool:
        """Whether a page shows it, as far as is known; to be asked now and then."""
        if not self._pages:
            return False
        now = self._now()
        if not (self._beside or self._hears()):
            self._asked_at = None  # an answer could not be heard, so the question does not count
        elif self._asked_at is None:
            self._asked_at = now
            self._asked = set(self._pages)
            self._widget.send({"ask": True})
        elif now - self._asked_at > ANSWER_S:
            self._pages -= self._asked
            self._asked_at = None
        return bool(self._pages)

    @property
    def bundle(self) -> dict[str, object]:
        """What to display, by MIME type; the true table stands in an output of its own."""
        model = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        return {WIDGET_VIEW: model, "text/plain": ""}

    def put(self, label: str, parts: Mapping[str, str]) -> None:
        """Show other parts; what is the same is not sent."""
        message = self._pieces.news(label, parts)
        if message is not None:
            self._widget.send(message)

    def keep(self, bundle: Mapping[str, str]) -> None:
        """Let the pages that show it put this in the place of its twin, where that is another."""
        if self._pages:
            self._widget.send({"keep": dict(bundle)})

    def tell(self, **message: str) -> None:
        """Send the page something that is no state: a text to save, or to read out."""
        self._widget.send(message)

    def close(self) -> None:
        """Take the widget away, on the page and here."""
        for part in (self._widget, self._widget.layout):  # each is kept alive by its comm
            part.close()

    def _hear(self, _widget: object, content: object, _buffers: object) -> None:
        if not isinstance(content, dict) or not isinstance(content.get("act"), str):
            return
        self._beside = threading.current_thread() is not threading.main_thread()
        if content["act"] in ("here", "gone"):
            self._note(content["act"], str(content.get("arg", "")))
            return
        if isinstance(content.get("n"), int):
            self._widget.send({"heard": content["n"]})
        try:
            self._act(content)
        except Exception:  # a page must not end the kernel's message loop
            _LOGGER.exception("what was clicked could not be taken: %r", content.get("act"))

    def _note(self, act: str, page: str) -> None:
        """A page shows the view, or no longer does."""
        self._asked.discard(page)
        if act == "gone":
            self._pages.discard(page)
        elif len(self._pages) < MOST_PAGES:
            if page not in self._pages:
                self._widget.send(self._pieces.whole())  # it may have missed what was told last
            self._pages.add(page)


@cache
def _widget_class() -> Any:
    import anywidget
    from traitlets import Dict, Unicode

    class Cockpit(anywidget.AnyWidget):
        _esm = files("buildflow_nb.cockpit").joinpath("static", "view.js").read_text("utf-8")
        _css = style_sheet()
        label = Unicode().tag(sync=True)
        twin = Unicode().tag(sync=True)
        parts = Dict().tag(sync=True)

    return Cockpit
