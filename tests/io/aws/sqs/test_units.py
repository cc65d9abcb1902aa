"""The parts of a queue's source and sink, without a queue."""

from __future__ import annotations

import json
import threading

import pytest

from buildflow_nb.core.credentials import AWSCredentials, Secret
from buildflow_nb.core.errors import (
    ConversionError,
    DeclarationError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.aws.errors import Target
from buildflow_nb.io.aws.sqs.sink import Fifo, checked_size
from buildflow_nb.io.threads import Threads
from tests.io.aws.conftest import env_of
from tests.io.aws.emulator import free_port
from tests.io.contract import run

DEADLINE_S = 10


class TestThreads:
    def test_calls_give_what_they_return_or_raise(self):
        threads = Threads("test", 2)
        assert threads.submit(lambda: 7).result(DEADLINE_S) == 7
        with pytest.raises(ZeroDivisionError):
            threads.submit(lambda: 1 / 0).result(DEADLINE_S)
        threads.close()

    def test_no_more_calls_run_than_there_are_threads(self):
        threads, gate, running = Threads("test", 3), threading.Event(), []
        lock, most = threading.Lock(), []

        def call():
            with lock:
                running.append(1)
                most.append(len(running))
            gate.wait(DEADLINE_S)
            with lock:
                running.pop()

        calls = [threads.submit(call) for _ in range(9)]
        gate.set()
        for one in calls:
            one.result(DEADLINE_S)
        threads.close()
        assert max(most) <= 3

    def test_what_is_urgent_goes_first(self):
        threads, gate, order = Threads("test", 1), threading.Event(), []
        began = threading.Event()

        def hold():
            began.set()
            gate.wait(DEADLINE_S)

        calls = [threads.submit(hold)]
        began.wait(DEADLINE_S)
        calls += [threads.submit(lambda i=i: order.append(i)) for i in range(3)]
        calls.append(threads.submit(lambda: order.append("urgent"), urgent=True))
        gate.set()
        for one in calls:
            one.result(DEADLINE_S)
        threads.close()
        assert order == ["urgent", 0, 1, 2]

    def test_one_call_after_another_takes_one_thread(self):
        threads = Threads("test-of-one", 8)
        found = {threads.submit(threading.get_ident).result(DEADLINE_S) for _ in range(20)}
        threads.close()
        assert len(found) <= 2  # a thread may still be on its way back from the call before

    def test_what_is_submitted_after_closing_still_runs(self):
        threads = Threads("test", 2)
        threads.submit(int).result(DEADLINE_S)
        threads.close()
        assert threads.submit(lambda: "late").result(DEADLINE_S) == "late"

    def test_threads_end_when_closed(self):
        threads = Threads("test-that-ends", 2)
        thread = threads.submit(threading.current_thread).result(DEADLINE_S)
        assert thread.daemon
        threads.close()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


class TestMessages:
    def test_sizes_are_those_of_utf_8(self):
        assert checked_size("aü🦆", 10) == 7
        with pytest.raises(ConversionError, match="has 7 bytes, and the queue takes at most 6"):
            checked_size("aü🦆", 6)

    def test_one_group_and_the_text_by_default(self):
        one, same, other = (Fifo().stamp(text) for text in ("a", "a", "b"))
        assert one == same
        assert one["MessageGroupId"] == other["MessageGroupId"] == "buildflow"
        assert one["MessageDeduplicationId"] != other["MessageDeduplicationId"]

    def test_fields_as_ids(self):
        fifo = Fifo("customer", "id")
        found = fifo.stamp(json.dumps({"customer": "c-1", "id": 7}))
        assert found == {"MessageGroupId": "c-1", "MessageDeduplicationId": "7"}

    @pytest.mark.parametrize("value", ["with a space", "ü", "x" * 129])
    def test_values_that_are_no_ids_are_hashed(self, value):
        found = Fifo("customer").stamp(json.dumps({"customer": value}))["MessageGroupId"]
        assert len(found) == 64
        assert found != Fifo("customer").stamp('{"customer": "other ü"}')["MessageGroupId"]

    @pytest.mark.parametrize("text", ["{}", '{"customer": null}', '{"customer": ""}', "[1]"])
    def test_a_message_without_the_field_fails_alone(self, text):
        with pytest.raises(ConversionError, match="nothing in field 'customer', which its FIFO"):
            Fifo("customer").stamp(text)
        with pytest.raises(ConversionError, match="is no JSON, so it has no field 'customer'"):
            Fifo(deduplicate_by="customer").stamp("no JSON")


class TestDeclaring:
    @pytest.mark.parametrize("name", ["", "a b", "x" * 81, "ü", "a.b", ".fifo"])
    def test_names_that_sqs_has_not(self, name):
        with pytest.raises(DeclarationError, match=r"a name has 1 to 80 letters, digits"):
            SQSQueue(name)

    def test_options_of_fifo_queues(self):
        queue = SQSQueue("orders.fifo").options(group_by="customer")
        assert (queue.group_by, queue.fifo) == ("customer", True)
        with pytest.raises(DeclarationError, match=r"are for FIFO queues; name it with '\.fifo'"):
            SQSQueue("orders").options(group_by="customer")

    @pytest.mark.parametrize(
        ("words", "field"),
        [
            ({"queue_name": None}, "queue_name"),
            ({"queue_name": 7}, "queue_name"),
            ({"queue_name": "orders", "aws_account_id": 123456789012}, "aws_account_id"),
            ({"queue_name": "orders.fifo", "group_by": 1}, "group_by"),
        ],
    )
    def test_names_are_texts(self, words, field):
        with pytest.raises(DeclarationError, match=f"SQSQueue: {field} must be a text in quotes"):
            SQSQueue(**words)

    @pytest.mark.parametrize(
        ("queue", "page"),
        [
            (SQSQueue("orders"), "#/queues"),
            (SQSQueue("orders", aws_region="eu-west-1"), "?region=eu-west-1#/queues"),
            (
                SQSQueue("orders", "123456789012", "eu-west-1"),
                "?region=eu-west-1#/queues/"
                "https%3A%2F%2Fsqs.eu-west-1.amazonaws.com%2F123456789012%2Forders",
            ),
        ],
    )
    def test_pages_in_the_console(self, queue, page):
        url = f"https://console.aws.amazon.com/sqs/v3/home{page}"
        assert queue.cloud_console_url() == url

    def test_ids(self):
        assert SQSQueue("orders").primitive_id == "orders"
        assert SQSQueue("orders", aws_region="eu-west-1").primitive_id == "eu-west-1-orders"


class TestErrors:
    def test_errors_of_the_network(self):
        nowhere = env_of(f"http://127.0.0.1:{free_port()}")

        async def go():
            async with SQSQueue("orders").source(nowhere) as source:
                with pytest.raises(TemporaryError, match="queue 'orders' cannot be reached: Could"):
                    await source.pull()
                with pytest.raises(TemporaryError, match="queue 'orders' cannot be reached"):
                    await source.backlog()

        run(go())

    def test_errors_of_the_set_up_say_what_to_do(self, monkeypatch):
        for word in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(word, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

        async def go():
            async with SQSQueue("orders").source(Env()) as source:
                with pytest.raises(PermanentError, match=r"cannot be used: .*; give aws_region"):
                    await source.pull()

        run(go())

    def test_no_secret_is_told(self):
        env = Env(aws=AWSCredentials(Secret("AKIA-hidden"), Secret("hush")))
        assert "hidden" not in repr(env) + repr(SQSQueue("q").source(env))
        assert "hush" not in repr(env)

    def test_a_bucket_that_lies_elsewhere(self):
        from botocore.exceptions import ClientError

        reply = {"Error": {"Code": "PermanentRedirect", "Message": "go", "Region": "eu-west-1"}}
        with (
            pytest.raises(PermanentError, match="bucket 'b' lies in eu-west-1; give that as aws_r"),
            Target("bucket", "b", "local").faults("s3:PutObject"),
        ):
            raise ClientError(reply, "PutObject")


def test_a_fault_that_nobody_foresaw_is_told(monkeypatch):
    def broken(*_):
        msg = "a reply without Messages"
        raise KeyError(msg)

    monkeypatch.setattr("buildflow_nb.io.aws.sqs.client.QueueClient._look_up", broken)

    async def go():
        async with SQSQueue("orders").source(Env()) as source:
            with pytest.raises(KeyError, match="a reply without Messages"):
                await source.pull()

    run(go())
