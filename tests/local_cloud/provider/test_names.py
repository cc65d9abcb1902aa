"""Auto-names: given once, kept for life."""

from __future__ import annotations

import re

from pulumi.runtime.proto import provider_pb2 as proto

from buildflow_nb.local_cloud.provider.codec import UNKNOWN, Bag
from buildflow_nb.local_cloud.provider.names import AutoName

PLAIN = AutoName("name", 20)
QUEUE = AutoName("name", 80, prefix="namePrefix", suffix=".fifo", suffix_if="fifoQueue")
OPTIONS = proto.CheckRequest.AutonamingOptions


def choose(auto, news=None, olds=None, own="Orders", **more):
    urn = f"urn:pulumi:dev::proj::aws:sqs/queue:Queue::{own}"
    seed = more.pop("seed", b"\x01" * 32)
    request = proto.CheckRequest(urn=urn, randomSeed=seed, autonaming=more.pop("options", None))
    return auto.choose(request, Bag(news or {}), Bag(olds or {}))


def test_the_own_name_a_dash_and_seven_digits():
    assert re.fullmatch(r"Orders-[0-9a-f]{7}", choose(PLAIN))
    assert re.fullmatch(r"orders-[0-9a-f]{7}", choose(AutoName("name", 20, lower=True)))


def test_it_follows_from_the_seed_so_that_preview_and_update_agree():
    assert choose(PLAIN) == choose(PLAIN)
    assert choose(PLAIN) != choose(PLAIN, seed=b"\x02" * 32)


def test_a_long_name_is_cut_before_the_digits():
    name = choose(PLAIN, own="a" * 50)
    assert len(name) == 20
    assert re.fullmatch(r"a{13}[0-9a-f]{7}", name)


def test_a_given_name_wins_even_if_it_is_not_known_yet():
    assert choose(PLAIN, {"name": "mine"}) is None
    assert choose(PLAIN, {"name": UNKNOWN}) is None


def test_an_auto_name_is_kept_and_a_name_that_was_given_is_not():
    old = {"name": "Orders-1234567", "__defaults": ["name"]}
    assert choose(PLAIN, olds=old) == "Orders-1234567"
    assert choose(PLAIN, olds={"name": "mine", "__defaults": []}) != "mine"


def test_a_prefix_and_an_ending():
    assert re.fullmatch(r"ab-[0-9a-f]{7}", choose(QUEUE, {"namePrefix": "ab-"}))
    fifo = choose(QUEUE, {"fifoQueue": True}, own="q" * 90)
    assert len(fifo) == 80
    assert fifo.endswith(".fifo")


def test_a_name_with_the_wrong_ending_is_not_kept():
    old = {"name": "Orders-1234567", "__defaults": ["name"]}
    assert choose(QUEUE, {"fifoQueue": True}, old).endswith(".fifo")
    old = {"name": "Orders-1234567.fifo", "__defaults": ["name"]}
    assert not choose(QUEUE, {"fifoQueue": False}, old).endswith(".fifo")


def test_the_stacks_own_rules_for_names():
    proposed = OPTIONS(proposed_name="Team-Orders", mode=OPTIONS.PROPOSE)
    assert choose(AutoName("name", 20, lower=True), options=proposed) == "team-orders"
    assert choose(QUEUE, {"fifoQueue": True}, options=proposed) == "Team-Orders.fifo"
    enforced = OPTIONS(proposed_name="Team-Orders", mode=OPTIONS.ENFORCE)
    assert choose(AutoName("name", 20, lower=True), options=enforced) == "Team-Orders"
    assert choose(PLAIN, options=OPTIONS(mode=OPTIONS.DISABLE)) is None
