"""What deletions would lose: counted by asking, in time, and never none for what is not known."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from buildflow_nb.core.env import Env
from buildflow_nb.core.known_resources import HOLDING, holder_of
from buildflow_nb.core.resource_look import Asked, Held, ResourceLook, Standing
from buildflow_nb.core.status.operations import Op, Step
from buildflow_nb.core.status.plan import Change, Loss, Review, changes_of, counts_of
from buildflow_nb.core.status.stack_view import StackResource, StackView
from buildflow_nb.infra.losses import losses
from buildflow_nb.infra.report import loss_of

QUEUE = "aws:sqs/queue:Queue"
VIEW = StackView("local", local=True)


@dataclass(frozen=True)
class Tray:
    name: str
    held: Any = None
    standing: Standing = Standing.THERE
    delay_s: float = 0.0
    fault: Any = None
    asked: list[Asked] = field(default_factory=list, compare=False)

    @property
    def primitive_id(self):
        return self.name

    async def look(self, env, asked):
        self.asked.append(asked)
        await asyncio.sleep(self.delay_s)
        if self.fault is not None:
            raise self.fault
        return ResourceLook("k", "tray", self.name, standing=self.standing, held=self.held)


def going(name, op=Op.DELETE, kind=QUEUE):
    return Change(f"Tray {name}", op, (Step(f"urn:{name}", op, kind, name, f"Tray {name}"),))


def lost(*trays, **words):
    return losses([going(tray.name) for tray in trays], VIEW, trays, Env(), **words)


def test_what_is_held_is_counted_and_summed_by_what_it_is():
    found = lost(
        Tray("a", Held("messages", 3)),
        Tray("b", Held("objects", 1_204, bytes=2_100_000_000)),
        Tray("c", Held("messages", 4, "about")),
        Tray("d", Held("rows", 1)),
    )
    assert found.said == "about 7 messages, 1,204 objects, 1 row"


def test_what_is_empty_loses_nothing():
    found = lost(Tray("a", Held("messages", 0)), Tray("c", Held("messages", 0, "about")))
    assert found == Loss()
    assert found.said == ""


def test_an_estimate_of_none_is_told_where_clouds_count_late():
    tray = Tray("a", Held("messages", 0, "about"))
    change, view = going("a"), replace(VIEW, local=False)
    found = losses([change], view, [tray], Env())
    assert found.said == "about 0 messages, as it was some minutes ago"
    assert (
        loss_of(Review((change,), found), change) == "about 0 messages, as it was some minutes ago"
    )
    some = losses([change, going("b")], view, [tray, Tray("b", Held("messages", 2))], Env())
    assert some.said == "about 2 messages"


def test_at_least_none_is_not_known():
    found = lost(Tray("a", Held("objects", 0, "at least")))
    assert found.by_owner["Tray a"] == Held("objects", None, "at least")
    assert "not known" in found.said


@pytest.mark.parametrize(
    "tray",
    [
        Tray("x", fault=ValueError("odd")),
        Tray("x", None, Standing.UNREACHED),
        Tray("x", None, Standing.REFUSED),
        Tray("x", None, Standing.ABSENT),
        Tray("x", Held("messages", None)),
        Tray("x", Held("messages", 3), delay_s=60),
    ],
)
def test_what_cannot_be_asked_is_not_known_and_never_none(tray):
    began = time.monotonic()
    found = lost(tray, Tray("y", Held("messages", 2)), within_s=0.3)
    assert time.monotonic() - began < 3
    assert found.by_owner["Tray x"].count is None
    assert "2 messages" in found.said
    assert "not known" in found.said


def test_a_thousand_are_asked_at_once():
    trays = [Tray(str(i), Held("messages", 1), delay_s=0.2) for i in range(1_000)]
    began = time.monotonic()
    assert lost(*trays).said == "1,000 messages"
    assert time.monotonic() - began < 4


def test_all_is_counted_within_the_deadline():
    tray = Tray("a", Held("objects", 1))
    lost(tray, within_s=3.0)
    assert tray.asked == [Asked(0, whole=True, within_s=3.0)]


@pytest.mark.parametrize(
    ("op", "kind", "asked"),
    [
        (Op.DELETE, QUEUE, True),
        (Op.REPLACE, QUEUE, True),
        (Op.UPDATE, QUEUE, False),
        (Op.CREATE, QUEUE, False),
        (Op.DELETE, "aws:sqs/queuePolicy:QueuePolicy", False),
        (Op.DELETE, "gcp:pubsub/topic:Topic", False),
    ],
)
def test_only_what_takes_something_away_is_asked(op, kind, asked):
    tray = Tray("a", Held("messages", 1))
    losses([going("a", op, kind)], VIEW, [tray], Env())
    assert bool(tray.asked) is asked


def test_what_nobody_declares_is_asked_by_what_the_state_knows():
    ids = {
        QUEUE: "http://127.0.0.1:1/000000000000/returns",
        "aws:s3/bucket:Bucket": "old-exports",
        "gcp:storage/bucket:Bucket": "old-exports",
        "gcp:pubsub/subscription:Subscription": "projects/p/subscriptions/clicks",
        "gcp:bigquery/table:Table": "projects/p/datasets/d/tables/priced",
        "gcp:sql/database:Database": "projects/p/instances/db/databases/shop",
        "gcp:sql/databaseInstance:DatabaseInstance": "db",
    }
    assert {kind for kind, (_, home) in HOLDING.items() if home} == set(ids)
    for kind, resource_id in ids.items():
        assert holder_of(kind, resource_id) is not None
        assert holder_of(kind, "") is None
    assert holder_of("gcp:pubsub/subscription:Subscription", "odd") is None
    queue = holder_of(QUEUE, "https://sqs.eu-west-3.amazonaws.com/123456789012/returns")
    assert (queue.queue_name, queue.aws_account_id, queue.aws_region) == (
        "returns",
        "123456789012",
        "eu-west-3",
    )
    view = replace(VIEW, resources=(StackResource(QUEUE, "returns", "Tray returns", ids[QUEUE]),))
    found = losses([going("returns")], view, [], Env(aws_region="us-east-1"), within_s=0.5)
    assert found.by_owner["Tray returns"].count is None  # nobody answers there


@pytest.mark.parametrize(
    ("local", "op", "standing", "said"),
    [
        (False, Op.DELETE, Standing.THERE, "7 messages"),
        (False, Op.REPLACE, Standing.THERE, "7 messages"),
        (False, Op.DELETE, Standing.ABSENT, "and what 1 holds: not known"),
        (True, Op.DELETE, Standing.THERE, "7 messages"),
        (True, Op.DELETE, Standing.ABSENT, "2 messages"),  # of another region of the same place
    ],
)
def test_what_the_state_has_is_asked_before_what_is_declared(
    monkeypatch, local, op, standing, said
):
    url = "https://sqs.eu-west-3.amazonaws.com/123456789012/a"
    old, new = Tray("a", Held("messages", 7), standing), Tray("a", Held("messages", 2))
    monkeypatch.setattr(
        "buildflow_nb.infra.losses.holder_of", lambda kind, one: old if one == url else None
    )
    view = replace(VIEW, local=local, resources=(StackResource(QUEUE, "a", "Tray a", url),))
    assert losses([going("a", op)], view, [new], Env()).said == said
    assert bool(new.asked) is (said == "2 messages")


def test_all_that_goes_of_one_primitive_is_asked(monkeypatch):
    kept = {"u": Tray("q", Held("messages", 0)), "b": Tray("b", Held("objects", 3, bytes=9))}
    monkeypatch.setattr("buildflow_nb.infra.losses.holder_of", lambda kind, one: kept.get(one))
    bucket = "aws:s3/bucket:Bucket"
    steps = (
        Step("urn:q", Op.DELETE, QUEUE, "q", "T t"),
        Step("urn:b", Op.DELETE, bucket, "b", "T t"),
    )
    parts = (StackResource(QUEUE, "q", "T t", "u"), StackResource(bucket, "b", "T t", "b"))
    change, view = Change("T t", Op.DELETE, steps), replace(VIEW, resources=parts)
    assert losses([change], view, [], Env()).by_owner == {"T t": Held("objects", 3, bytes=9)}
    kept["u"] = Tray("q", fault=ValueError("odd"))
    assert losses([change], view, [], Env()).by_owner == {"T t": Held("messages", None)}


def step(op, owner, name, kind="aws:x:X"):
    return Step(f"urn::{kind}::{name}", op, kind, name, owner)


def test_changes_are_of_primitives_what_goes_first():
    steps = [
        step(Op.CREATE, "S3Bucket uploads", "bucket"),
        step(Op.CREATE, "S3FileChangeStream uploads", "notification"),
        step(Op.CREATE, "S3FileChangeStream uploads", "policy"),
        step(Op.UPDATE, "SQSQueue clicks", "clicks"),
        step(Op.DELETE, "SQSQueue returns", "returns"),
        step(Op.DELETE, "SQSQueue returns", "returns", "buildflow:SQSQueue"),
        step(Op.REPLACE, "SQSQueue whole", "whole"),
        step(Op.SAME, "SQSQueue same", "same"),
        step(Op.CREATE, "", "of nobody"),
    ]
    found = changes_of(steps)
    assert [(one.op, one.name, len(one.steps)) for one in found] == [
        (Op.DELETE, "returns", 1),
        (Op.REPLACE, "whole", 1),
        (Op.UPDATE, "clicks", 1),
        (Op.CREATE, "uploads", 1),
        (Op.CREATE, "uploads", 2),
        (Op.CREATE, "of nobody", 1),
    ]
    assert counts_of(found) == {Op.DELETE: 1, Op.REPLACE: 1, Op.UPDATE: 1, Op.CREATE: 3}


def test_a_part_that_goes_changes_its_primitive():
    steps = [step(Op.DELETE, "T t", "pipe"), step(Op.UPDATE, "T t", "table")]
    (found,) = changes_of(steps)
    assert found.op is Op.UPDATE
    (new,) = changes_of([step(Op.CREATE, "T t", "t"), step(Op.CREATE, "T t", "t", "buildflow:T")])
    assert new.op is Op.CREATE
