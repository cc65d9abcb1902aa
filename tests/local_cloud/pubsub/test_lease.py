from buildflow_nb.local_cloud.pubsub.lease import ACK_ID_BYTES, Holder, Leases
from tests.local_cloud.pubsub.fakes import stamped


def test_ids_are_distinct_and_of_one_length():
    leases, others = Leases(), Leases()
    messages = stamped(b"1", b"2", b"3")
    ids = leases.grant(messages, 10, None) + leases.grant(messages, 10, None)
    ids += others.grant(messages, 10, None)
    assert len(set(ids)) == 9
    assert {len(ack_id) for ack_id in ids} == {ACK_ID_BYTES}


def test_a_lease_ends_once():
    leases = Leases()
    (message,) = stamped(b"1")
    (ack_id,) = leases.grant([message], 10, None)
    assert ack_id in leases
    assert leases.end(ack_id) is message
    assert leases.end(ack_id) is None
    assert ack_id not in leases


def test_what_is_leased_lapses_at_its_deadline():
    leases = Leases()
    first, second = leases.grant(stamped(b"1", b"2"), 10, None)
    leases.grant(stamped(b"3"), 20, None)
    leases.end(first)
    assert leases.lapsed(9.9) == []
    assert leases.lapsed(10) == [second]
    assert leases.lapsed(15) == []


def test_an_extended_lease_lapses_later():
    leases = Leases()
    first, second = leases.grant(stamped(b"1", b"2"), 10, None)
    assert leases.extend([first, "unknown"], 30) == ["unknown"]
    assert leases.lapsed(29) == [second]
    assert leases.lapsed(30) == [first]


def test_a_lease_can_be_shortened():
    leases = Leases()
    (ack_id,) = leases.grant(stamped(b"1"), 60, None)
    leases.extend([ack_id], 5)
    assert leases.lapsed(5) == [ack_id]
    leases.end(ack_id)
    assert leases.lapsed(60) == []


def test_a_holder_knows_what_it_holds():
    leases, holder = Leases(), Holder()
    messages = stamped(b"1", b"22")
    first, second = leases.grant(messages, 10, holder)
    assert (holder.messages, holder.bytes) == (2, sum(one.size for one in messages))
    leases.extend([first], 20)
    leases.end(first)
    assert (holder.messages, holder.bytes) == (1, messages[1].size)
    leases.clear()
    assert (holder.messages, holder.bytes) == (0, 0)
    assert second not in leases


def test_acknowledged_ids_are_not_remembered():
    leases = Leases()
    for _ in range(100):
        ack_ids = leases.grant(stamped(*[b"x"] * 10), 600, None)
        leases.extend(ack_ids[:5], 700)
        for ack_id in ack_ids:
            leases.end(ack_id)
    assert all(not grant.ack_ids for _, _, grant in leases._alarms)
    assert list(leases.messages()) == []
