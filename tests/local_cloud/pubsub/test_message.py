import pytest

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.delivery import Delivery
from buildflow_nb.local_cloud.pubsub.lease import ACK_ID_BYTES
from buildflow_nb.local_cloud.pubsub.message import Message, check_messages, stamp
from buildflow_nb.local_cloud.pubsub.status import StatusError
from tests.local_cloud.pubsub.fakes import raw, stamped


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 100_000])
def test_is_stamped_with_id_and_time_whatever_its_size(size):
    (message,) = stamp(raw(b"x" * size, colour="red", key="k"), 41, 1_700_000_000.25)
    decoded = message.decode()
    assert (message.seq, message.key, message.published) == (41, "k", 1_700_000_000.25)
    assert decoded.data == b"x" * size
    assert decoded.message_id == "41"
    assert decoded.publish_time.ToJsonString() == "2023-11-14T22:13:20.250Z"
    assert dict(decoded.attributes) == message.attributes == {"colour": "red"}


def test_ids_and_times_of_the_publisher_do_not_count():
    (given,) = raw(b"x")
    given.message_id = "mine"
    given.publish_time.FromJsonString("1999-01-01T00:00:00.5Z")
    (message,) = stamp([given], 7, 1_700_000_000.0)
    assert message.decode().message_id == "7"
    assert message.decode().publish_time.ToNanoseconds() == 1_700_000_000_000_000_000


def test_can_be_restored():
    (message,) = stamp(raw(b"x", key="k"), 9, 1_700_000_000.125)
    again = Message.restore(message.framed)
    assert (again.seq, again.published, again.key) == (9, 1_700_000_000.125, "k")
    assert again.framed == message.framed


@pytest.mark.parametrize("attempts", [None, [1, 300]])
@pytest.mark.parametrize("answer", [proto.PullResponse, proto.StreamingPullResponse])
def test_a_delivery_is_a_response(attempts, answer):
    messages = stamped(b"x" * 10, b"y" * 20_000)
    ack_ids = ["a" * ACK_ID_BYTES, "b" * ACK_ID_BYTES]
    encoded = Delivery(ack_ids, messages, attempts).encode()
    received = answer.FromString(encoded).received_messages
    assert [one.ack_id for one in received] == ack_ids
    assert [one.message for one in received] == [message.decode() for message in messages]
    assert [one.delivery_attempt for one in received] == (attempts or [0, 0])
    assert answer.FromString(encoded).SerializeToString() == encoded


def test_an_empty_delivery_is_an_empty_response():
    assert Delivery().encode() == b""
    assert not Delivery()


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "message_count is too small"),
        (raw(*[b"x"] * 1_001), "You passed 1001"),
        (raw(b"x", b""), "messages in the publish request is empty"),
        (raw(b"x" * 10_000_001), "request_size is too large"),
        (raw(b"x", **{f"k{number}": "v" for number in range(101)}), "101 attributes"),
        (raw(b"x", **{"k" * 257: "v"}), "Invalid attribute key"),
        (raw(b"x", goog="v"), "must not start with goog"),
        (raw(b"x", **{"": "v"}), "Invalid attribute key"),
        (raw(b"x", k="v" * 1_025), "1025 bytes"),
    ],
    ids=["none", "many", "empty", "large", "attributes", "key", "goog", "no key", "value"],
)
def test_what_google_refuses_is_refused(messages, reason):
    with pytest.raises(StatusError, match=reason) as caught:
        check_messages(proto.PublishRequest(topic="t", messages=messages))
    assert caught.value.code.name == "INVALID_ARGUMENT"


def test_limits_themselves_are_allowed():
    attributes = {f"k{number}": "v" * 1_024 for number in range(99)} | {"k" * 256: ""}
    check_messages(proto.PublishRequest(topic="t", messages=raw(b"", **attributes)))
    check_messages(proto.PublishRequest(topic="t", messages=raw(*[b"x"] * 1_000)))


def test_long_ordering_keys_are_refused():
    assert stamp(raw(b"x", key="k" * 1_024), 1, 0.0)
    with pytest.raises(StatusError, match="ordering key has more than 1024 bytes"):
        stamp(raw(b"x", key="k" * 1_025), 1, 0.0)
