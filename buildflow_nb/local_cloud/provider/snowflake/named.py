"""What all resource types of Snowflake have in common: names in names, made and dropped by SQL.

An id is what the published provider gives: the quoted names, joined by dots, or for tables and
pipes the bare ones, joined by bars. Names with a bar, a dot or a quote are refused, as its pages
say of them. A change of a name is a replacement here, where the published provider renames.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input
from buildflow_nb.local_cloud.provider.snowflake.cloud import SnowflakeCloud, quoted

__all__ = ("NAME", "NAMED", "PLACED", "Named")

NAME = AutoName("name", 255)
NAMED = {"name": Input(replaces=True, computed=True)}
PLACED = {
    **NAMED,
    "database": Input(required=True, replaces=True),
    "schema": Input(required=True, replaces=True),
}
_FORBIDDEN = re.compile(r'[|."]')


class Named(Resource[SnowflakeCloud]):
    """A type whose names are its id."""

    service = "snowflake"
    names: ClassVar[Sequence[str]] = ("database", "schema", "name")
    word: ClassVar[str]  # of SQL
    bars: ClassVar[bool] = False  # whether its id has bars

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Names that the published provider cannot tell apart."""
        for place in self.names:
            name = inputs.text(place)
            if name is not None and (not name or _FORBIDDEN.search(name)):
                yield Failure(place, f'{place} {name!r}: a name is not empty and has no | . or "')

    def identify(self, cloud: SnowflakeCloud, resource_id: str) -> str:
        """The id of names that are given with dots or with bars.

        Raises:
            InfraError: they are too many, or too few.
        """
        del cloud
        return self._id(self.parts(resource_id))

    def parts(self, resource_id: str) -> list[str]:
        """The names in an id.

        Raises:
            InfraError: they are too many, or too few.
        """
        found = [part.strip('"') for part in re.split(r"[|.]", resource_id)]
        if len(found) != len(self.names) or not all(found):
            msg = f"{resource_id!r} is no {self.word.lower()}; give {'|'.join(self.names)}"
            raise InfraError(msg)
        return found

    def create(self, cloud: SnowflakeCloud, inputs: Properties) -> str:
        """Make it.

        Raises:
            InfraError: it is there already.
        """
        parts = [inputs.must(name) for name in self.names]
        if self.look(cloud, parts, Properties({})) is not None:
            msg = f"{'.'.join(parts)!r} is there already; import it"
            raise InfraError(msg)
        cloud.run(f"CREATE {self.word} {quoted(*parts)} {self.rest(inputs)}".rstrip())
        return self._id(parts)

    def read(
        self, cloud: SnowflakeCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at it."""
        parts = self.parts(resource_id)
        found = self.look(cloud, parts, known)
        if found is None:
            return None
        return {
            **dict(zip(self.names, parts, strict=True)),
            "fullyQualifiedName": quoted(*parts),
            **found,
        }

    def delete(self, cloud: SnowflakeCloud, resource_id: str, known: Properties) -> None:
        """Drop it, with all that is in it."""
        parts = self.parts(resource_id)
        if self.look(cloud, parts, known) is not None:
            cloud.run(f"DROP {self.word} {quoted(*parts)}")

    def rest(self, inputs: Properties) -> str:
        """What stands behind the name in its statement."""
        del inputs
        return ""

    @abstractmethod
    def look(
        self, cloud: SnowflakeCloud, parts: Sequence[str], known: Properties
    ) -> Mapping[str, Plain] | None:
        """What it has besides its names; None where it is not there."""

    def _id(self, parts: Sequence[str]) -> str:
        return "|".join(parts) if self.bars else quoted(*parts)
