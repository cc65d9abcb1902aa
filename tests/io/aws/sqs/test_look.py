"""Looks into queues: what they say, and that nobody loses a message or a try by them."""

import json
import time

import pytest

from buildflow_nb.core.primitive import Env
from buildflow_nb.core.resource_look import Asked, Standing
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.aws.sqs import look as look_module
from tests.io.aws.conftest import KEYS, REGION
from tests.io.aws.emulator import free_port
from tests.io.contract import pulled, run

pytestmark = pytest.mark.emulator

BODIES = [json.dumps({"id": i, "item": "<b>Fig</b>"}) for i in range(3)]


def glance(queue, env, **words):
    return run(queue.look(env, Asked(**words)))


def figures(look):
    return {one.label: one.value for one in look.figures}


def column(content, name):
    at = [column.name for column in content.columns].index(name)
    return [row[at] for row in content.rows]


@pytest.fixture
def filled(sqs, name, env):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    for body in BODIES:
        sqs.send_message(QueueUrl=url, MessageBody=body)
    return SQSQueue(name)


@pytest.fixture
def elsewhere(monkeypatch):
    """A cloud that shows messages to receivers alone, as Amazon's."""

    async def untold(*_):
        return None

    monkeypatch.setattr(look_module, "_told_by_the_emulator", untold)


def test_fields_of_messages_are_columns(filled, env):
    look = glance(filled, env)
    (content,) = look.contents
    assert [c.name for c in content.columns] == ["sent", "receives", "id", "item"]
    assert column(content, "id") == [0, 1, 2]
    assert column(content, "receives") == [0, 0, 0]
    assert figures(look)["waiting"] == 3
    assert str(look.held) == "about 3 messages"


def test_what_is_in_flight_is_shown_as_such(filled, env, sqs):
    url = sqs.get_queue_url(QueueName=filled.queue_name)["QueueUrl"]
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
    look = glance(filled, env)
    assert (figures(look)["waiting"], figures(look)["in flight"]) == (2, 1)
    assert sorted(filter(None, column(look.contents[0], "in flight"))) == ["yes"]


def test_one_that_vanishes_is_told_and_comes_back(filled, env, sqs):
    url = sqs.get_queue_url(QueueName=filled.queue_name)["QueueUrl"]
    assert glance(filled, env).there
    sqs.delete_queue(QueueUrl=url)
    gone = glance(filled, env)
    assert gone.standing is Standing.ABSENT
    assert filled.queue_name in gone.said
    assert gone.cure == "%buildflow apply"


def test_without_a_network_the_deadline_is_kept(name):
    env = Env(endpoints={"sqs": f"http://127.0.0.1:{free_port()}"}, aws=KEYS, aws_region=REGION)
    began = time.monotonic()
    look = glance(SQSQueue(name), env, within_s=2.0)
    assert time.monotonic() - began < 4
    assert look.standing is Standing.UNREACHED
    assert look.cure


def test_elsewhere_messages_are_not_shown_unasked(filled, env, elsewhere):
    look = glance(filled, env, rows=5)
    assert look.contents == ()
    assert "--peek" in " ".join(look.notes)
    assert figures(look)["waiting"] == 3


def test_a_peek_gives_each_message_back_at_once(filled, env, elsewhere):
    look = glance(filled, env, peek=True)
    assert column(look.contents[0], "id") == [0, 1, 2]
    assert "receive count has risen by 1" in " ".join(look.notes)
    assert figures(glance(filled, env))["waiting"] == 3
    assert pulled(filled, 3) == BODIES


def test_a_peek_takes_no_try_of_a_redrive_policy(sqs, name, env, elsewhere):
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    policy = json.dumps({"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": "1"})
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="one")
    for _ in range(3):
        look = glance(SQSQueue(name), env, peek=True)
    assert look.contents == ()
    assert f"moves a message to {name}-dead" in " ".join(look.notes)
    assert pulled(SQSQueue(name), 1) == ["one"]


def test_a_bounded_number_is_shown_of_many(sqs, name, env):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    for start in range(0, 300, 10):
        entries = [{"Id": str(i), "MessageBody": str(start + i)} for i in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    look = glance(SQSQueue(name), env, rows=250)
    assert len(look.contents[0].rows) == 200
    assert look.contents[0].said == "200 of 300, oldest first"


def test_a_purge_empties_it(filled, env):
    run(filled.purge(env))
    assert figures(glance(filled, env))["waiting"] == 0


def test_a_change_of_an_object_is_told_by_its_fields(sqs, name, env):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    s3 = {"bucket": {"name": "inbox"}, "object": {"key": "2025/a+b.csv", "size": 3}}
    body = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]})
    for one in (body, '{"Records": []}', '{"Records": [{"eventName": 1}]}'):
        sqs.send_message(QueueUrl=url, MessageBody=one)
    content = glance(SQSQueue(name), env).contents[0]
    assert column(content, "event") == ["ObjectCreated:Put", None, None]
    assert column(content, "key") == ["2025/a b.csv", None, None]
