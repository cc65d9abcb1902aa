"""Connections are shared, and bounded in number."""

from __future__ import annotations

from buildflow_nb.local_cloud.provider.clients import Pool


def test_one_is_made_for_a_key():
    pool = Pool(2)
    first = pool.get("a", object)
    assert pool.get("a", object) is first
    assert pool.get("b", object) is not first


def test_the_longest_unused_is_dropped():
    pool = Pool(2)
    pool.put("a", 1)
    pool.put("b", 2)
    assert pool.find("a") == 1
    pool.put("c", 3)
    assert pool.find("b") is None
    assert (pool.find("a"), pool.find("c")) == (1, 3)
