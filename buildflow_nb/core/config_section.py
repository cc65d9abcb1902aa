"""A mapping of `buildflow.yaml`, read key by key, so that each fault is told with its line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildflow_nb.core.errors import ConfigError
from buildflow_nb.core.nearest import cut, is_hidden, nearest

if TYPE_CHECKING:
    import yaml

__all__ = ("Section",)


class Section:
    """A mapping of the file, read key by key; unknown keys are refused at the end."""

    def __init__(self, path: Path, name: str, node: yaml.Node) -> None:
        self._path = path
        self._name = name
        self.node = node
        if not _is(node, "mapping"):
            raise self.wrong(node, "must be a mapping of keys to values", name or "the file")
        self._seen: list[str] = []
        self._left: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            self._put(key, value)

    def _put(self, key: yaml.Node, value: yaml.Node) -> None:
        name = self._plain(key, "a key")
        if name in self._left:
            line = self._left[name][0].start_mark.line + 1
            what = f"stands there twice, first in line {line}; keep one of them"
            raise self.wrong(key, what, self.key(name))
        self._left[name] = (key, value)

    def _plain(self, node: yaml.Node, name: str) -> str:
        """The text of a scalar; it ends up in names, addresses and lines on a terminal."""
        if not _is(node, "scalar"):
            raise self.wrong(node, "must be a text", name)
        text = str(node.value)
        if any(map(is_hidden, text)):
            what = f"must be one line of visible characters, got {cut(text)!a}"
            raise self.wrong(node, what, name)
        return text

    def wrong(self, node: yaml.Node, what: str, key: str) -> ConfigError:
        """An error that names the line and the key."""
        return ConfigError(f"{self._path.name} line {node.start_mark.line + 1}: {cut(key)} {what}")

    def key(self, name: str) -> str:
        """The full name of a key."""
        return f"{self._name}.{name}" if self._name else name

    def text(self, name: str, *, required: bool = False) -> str | None:
        """A text value, or None."""
        node = self._take(name, required=required)
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return None
        return self._plain(node, self.key(name))

    def number(self, name: str, *, least: float, most: float = math.inf) -> float | None:
        """A number within bounds, or None."""
        node = self._left.get(name, (None, None))[1]
        text = self.text(name)
        if text is None or node is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if least <= value <= most and value != math.inf:
            return value
        bounds = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
        what = f"must be a number {bounds}, got {cut(text)!r}"
        raise self.wrong(node, what, self.key(name))

    def choice(self, name: str, known: tuple[str, ...], default: str) -> str:
        """One of the known words."""
        node = self._left.get(name, (None, None))[1]
        value = self.text(name)
        if value is None:
            return default
        if value not in known and node is not None:
            what = f"must be {' or '.join(known)}, got {cut(value)!r}{nearest(value, known)}"
            raise self.wrong(node, what, self.key(name))
        return value

    def section(self, name: str) -> Section | None:
        """A mapping inside, or None."""
        node = self._take(name)
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return None
        return Section(self._path, self.key(name), node)

    def sections(self) -> dict[str, Section]:
        """All mappings inside, by name, where names are free."""
        return {name: found for name in list(self._left) if (found := self.section(name))}

    def items(self, name: str, make: Callable[[Section], Any]) -> list[Any]:
        """A list of mappings."""
        return [
            make(Section(self._path, f"{self.key(name)}[{i}]", node))
            for i, node in enumerate(self._sequence(name))
        ]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(
            self._plain(node, f"{self.key(name)}[{i}]")
            for i, node in enumerate(self._sequence(name))
        )

    def done(self) -> None:
        """Refuse what was not read."""
        for name, (key, _) in self._left.items():
            what = f"is not a known key{nearest(name, self._seen)}"
            raise self.wrong(key, what, self.key(name))

    def _sequence(self, name: str) -> list[yaml.Node]:
        node = self._take(name)
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return []
        if not _is(node, "sequence"):
            raise self.wrong(node, "must be a list", self.key(name))
        return list(node.value)

    def _take(self, name: str, *, required: bool = False) -> yaml.Node | None:
        self._seen.append(name)
        found = self._left.pop(name, None)
        if found is None:
            if required:
                raise self.wrong(self.node, "is missing", self.key(name))
            return None
        node: yaml.Node = found[1]
        return node


def _is(node: yaml.Node, kind: str) -> bool:
    """Whether a node is of a kind, told by the name that PyYAML gives it, so that it stays lazy."""
    return bool(vars(type(node))["id"] == kind)
