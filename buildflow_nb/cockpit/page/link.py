"""The link to a page: text for whoever can click text, HTML for a notebook."""

from __future__ import annotations

from dataclasses import dataclass

from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.markup import quote

__all__ = ("Link",)


@dataclass(frozen=True, slots=True)
class Link:
    """Where the page is; whoever has the link can do what the notebook can."""

    url: str
    flow_id: str

    def __str__(self) -> str:
        return f"flow {self.flow_id!r} has a page of its own: {self.url}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        named = markup.attributes(href=self.url, target="_blank", rel="noopener")
        bare = self.url.partition("#")[0]
        header = (
            f"<b>{quote(self.flow_id, 80)}</b> <a{named}>open {quote(bare)} in a tab</a>"
            '<span class="mute">the link works on this machine, for whoever has it, until the '
            "program ends</span>"
        )
        return markup.card(f"page of flow {self.flow_id}", header, "")
