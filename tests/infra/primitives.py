"""Primitives for tests of the engine, smaller than the real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ("Broken", "Link", "Plain", "Q", "T")


@dataclass(frozen=True)
class Q:
    """A queue whose properties can change."""

    name: str
    visibility: int = 30
    fifo: bool = False

    @property
    def primitive_id(self) -> str:
        return self.name

    def resources(self, site):
        import pulumi_aws as aws

        queue = aws.sqs.Queue(
            self.name,
            name=f"{self.name}.fifo" if self.fifo else self.name,
            fifo_queue=self.fifo,
            visibility_timeout_seconds=self.visibility,
            opts=site.aws(),
        )
        return {"arn": queue.arn}


@dataclass(frozen=True)
class Broken:
    """A primitive whose resources cannot be declared."""

    error: Exception
    primitive_id: str = "broken"

    def resources(self, site):
        raise self.error


@dataclass(frozen=True)
class Link:
    """A primitive without resources, with parents and things that it owns."""

    primitive_id: str
    above: Callable[[], tuple] = lambda: ()
    owns: tuple = ()
    option: str = ""

    def owned(self):
        return self.owns

    def parents(self):
        return self.above()

    def resources(self, site):
        return {}


@dataclass(frozen=True)
class Plain:
    """A primitive without cloud resources, such as a file."""

    primitive_id: str


@dataclass(frozen=True)
class T:
    """A topic: unlike a queue, it cannot be made twice. `above` is made before it."""

    name: str
    above: tuple = ()

    @property
    def primitive_id(self) -> str:
        return self.name

    def parents(self):
        return self.above

    def resources(self, site):
        import pulumi_gcp as gcp

        topic = gcp.pubsub.Topic(self.name, name=self.name, opts=site.gcp())
        return {"name": topic.name}
