"""What a resource type, a function and a package of the local cloud's provider are.

A resource type has a declared schema and four verbs on a cloud. The servicer does everything else
(defaults, names, differences, previews, secrets), so that a type is one short file. Verbs see
plain, checked, fully known values, run on any thread and at the same time as others, and leave a
deadline to every call they make.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.primitive import Services
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.schema import Failure, Schema

__all__ = ("Cloud", "CloudT", "Function", "IncompleteError", "Package", "Resource")


class Cloud(Protocol):
    """One provider instance's way to the emulators."""

    def require(self, service: str) -> None:
        """Make sure that a service may be called.

        Raises:
            InfraError: the provider was given no loopback endpoint for it.
        """
        ...


CloudT = TypeVar("CloudT", bound=Cloud)


class IncompleteError(InfraError):
    """A resource was made, but not all of it: it has to be kept in the state under its id."""

    def __init__(self, message: str, resource_id: str) -> None:
        super().__init__(message)
        self.resource_id = resource_id


class Resource(ABC, Generic[CloudT]):
    """A resource type."""

    schema: ClassVar[Schema]
    service: ClassVar[str]  # whose endpoint it needs

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """What is wrong with inputs beyond their schema; unknown ones are left out."""
        del inputs
        return ()

    def identify(self, cloud: CloudT, resource_id: str) -> str | None:
        """The full id for one that a person may have shortened; `None` if nothing has it."""
        del cloud
        return resource_id

    @abstractmethod
    def create(self, cloud: CloudT, inputs: Properties) -> str:
        """Make the resource and give its id.

        Raises:
            IncompleteError: it is made, but a later step failed.
        """

    @abstractmethod
    def read(
        self, cloud: CloudT, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """What the cloud says: outputs and those inputs that it knows; `None` if it is gone.

        `known` are the outputs, or else the inputs, of the last time; empty for an import.
        """

    def update(self, cloud: CloudT, resource_id: str, olds: Properties, news: Properties) -> None:
        """Change in place what has changed; not called where every input forces a replacement."""
        del cloud, olds, news
        msg = f"{self.schema.token} {resource_id!r} cannot be changed in place; replace it"
        raise InfraError(msg)

    @abstractmethod
    def delete(self, cloud: CloudT, resource_id: str, known: Properties) -> None:
        """Remove the resource; one that is gone already is no error."""


@dataclass(frozen=True, slots=True)
class Function(Generic[CloudT]):
    """A function that programs can call: its token, and what it does."""

    token: str
    call: Callable[[CloudT, Properties], Mapping[str, Plain]]


@dataclass(frozen=True, slots=True)
class Package(Generic[CloudT]):
    """A provider: its name, what it serves, and how it gets to the cloud of a configuration.

    `connect` is given the stores, too, which are started when a resource first needs one.

    `refusals` are the exceptions by which its SDK says that a cloud refused or did not answer.
    `structured` names the arguments of its configuration that are not texts, `replaces` those
    whose change makes other resources of all.
    """

    name: str
    resources: Sequence[Resource[CloudT]]
    functions: Sequence[Function[CloudT]]
    connect: Callable[[Mapping[str, Plain], Services | None], CloudT]
    refusals: tuple[type[Exception], ...]
    structured: frozenset[str] = frozenset()
    replaces: frozenset[str] = frozenset()
