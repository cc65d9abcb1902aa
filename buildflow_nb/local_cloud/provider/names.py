"""Names that the engine leaves to the provider: the resource's own, a dash and seven hex digits.

An auto-name has to stay as it is for the resource's life, so it is kept from the old inputs as long
as those say that it was one (`__defaults`). A replacement is checked without old inputs and thus
gets another name, which is what lets the new resource be made before the old one is deleted.

Source: pulumi, docs/concepts/resources/names (auto-naming), and `CheckRequest` in provider.proto.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pulumi.runtime.proto import provider_pb2 as proto

from buildflow_nb.local_cloud.provider.codec import Bag, Plain

__all__ = ("DEFAULTS", "AutoName", "defaulted")

DEFAULTS = "__defaults"  # the engine's word for inputs that the provider, not the program, has set
DIGITS = 7  # as all of Pulumi's own providers


def defaulted(inputs: dict[str, Plain]) -> list[str]:
    """The names of the inputs that the provider has set."""
    marked = inputs.get(DEFAULTS)
    return [str(name) for name in marked] if isinstance(marked, list) else []


@dataclass(frozen=True, slots=True)
class AutoName:
    """How a type names a resource that has no name: `at_most` characters in the input `name`.

    With `prefix` that input, where given, stands for the resource's own name and dash. A `suffix`
    is added where the input `suffix_if` is true.
    """

    name: str
    at_most: int
    prefix: str | None = None
    lower: bool = False
    suffix: str = ""
    suffix_if: str | None = None

    def choose(self, request: proto.CheckRequest, news: Bag, olds: Bag) -> str | None:
        """The name, or `None` where one is given or auto-naming is disabled."""
        if news.values.get(self.name) is not None:
            return None
        old = olds.values.get(self.name)
        if isinstance(old, str) and self.name in defaulted(olds.values) and self._fits(old, news):
            return old
        return self._new(request, news)

    def _new(self, request: proto.CheckRequest, news: Bag) -> str | None:
        prefix = news.values.get(self.prefix) if self.prefix else None
        if isinstance(prefix, str):
            return self._fitted(prefix, request, news)
        options = request.autonaming if request.HasField("autonaming") else None
        if options is None:
            return self._fitted(f"{request.urn.rpartition('::')[2]}-", request, news)
        if options.mode == proto.CheckRequest.AutonamingOptions.DISABLE:
            return None
        if options.mode == proto.CheckRequest.AutonamingOptions.ENFORCE:
            return str(options.proposed_name)
        ending = self._ending(news)
        return self._cased(options.proposed_name)[: self.at_most - len(ending)] + ending

    def _fitted(self, prefix: str, request: proto.CheckRequest, news: Bag) -> str:
        seed = request.randomSeed or request.urn.encode()
        digits = hashlib.sha256(seed).hexdigest()[:DIGITS]
        ending = self._ending(news)
        room = self.at_most - len(digits) - len(ending)
        return self._cased(prefix)[:room] + digits + ending

    def _fits(self, name: str, news: Bag) -> bool:
        """Whether a name has the ending that the inputs now ask for."""
        return not self.suffix or name.endswith(self.suffix) == bool(self._ending(news))

    def _cased(self, text: str) -> str:
        return text.lower() if self.lower else text

    def _ending(self, news: Bag) -> str:
        return self.suffix if self.suffix_if and news.values.get(self.suffix_if) is True else ""
