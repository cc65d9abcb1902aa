"""From managed primitives to components: order, ownership, identity."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import owned_by, parents_of
from buildflow_nb.infra.managed import in_order
from tests.infra.primitives import Link, Plain, Q, T


def ids(primitives):
    return [primitive.primitive_id for primitive in primitives]


def test_parents_come_first_whatever_the_order_of_declaration():
    top = Link("top")
    middle = Link("middle", lambda: (top,))
    bottom = Link("bottom", lambda: (middle, top))
    assert ids(in_order([bottom, middle, top])) == ["top", "middle", "bottom"]


def test_what_a_primitive_owns_is_managed_along_with_it():
    queue = Link("queue")
    stream = Link("stream", owns=(queue,))
    assert ids(in_order([stream])) == ["queue", "stream"]


def test_a_parent_that_is_not_managed_is_only_referred_to():
    bucket = Link("bucket")
    assert ids(in_order([Link("stream", lambda: (bucket,))])) == ["stream"]


def test_one_that_was_named_keeps_its_own_options():
    stream = Link("stream", owns=(Link("queue"),))
    named = Link("queue", option="mine")
    assert in_order([stream, named])[0] is named


def test_two_classes_may_share_an_id():
    assert len(in_order([Link("orders"), T("orders")])) == 2


def test_what_has_no_resources_is_left_out():
    assert ids(in_order([Plain("a.csv"), Link("queue")])) == ["queue"]


def test_a_primitive_says_what_it_owns_and_stands_on_where_it_does():
    queue = Link("queue")
    topic = T("topic", above=(queue,))  # says its parents only
    stream = Link("stream", lambda: (topic,), owns=(queue,))
    assert (owned_by(stream), parents_of(stream)) == ((queue,), (topic,))
    assert (owned_by(topic), parents_of(topic)) == ((), (queue,))
    assert owned_by(Q("orders")) == parents_of(Q("orders")) == ()
    assert ids(in_order([stream, Q("orders"), topic])) == ["queue", "topic", "stream", "orders"]


def test_what_has_no_resources_stands_on_nothing(tmp_path):
    assert owned_by(tmp_path) == parents_of(tmp_path) == ()  # a Path has parents of its own


def test_a_circle_is_named():
    first = Link("first", lambda: (second,))
    second = Link("second", lambda: (first,))
    with pytest.raises(DeclarationError, match=r"Link first -> Link second -> Link first"):
        in_order([first, second])
