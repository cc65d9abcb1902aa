"""Checks of SQS and S3, on the emulator and where it refuses or does not answer."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from buildflow_nb.core.findings import Health
from buildflow_nb.core.primitive import Env
from buildflow_nb.io import checks
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from tests.io.aws.conftest import KEYS, env_of
from tests.io.contract import run

pytestmark = pytest.mark.emulator


def found(primitive, env):
    return run(primitive.check(env))


class TestOnTheEmulator:
    def test_a_queue_tells_how_much_waits_and_keeps_it(self, env, sqs, name):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="one")
        for _ in range(3):
            (finding,) = found(SQSQueue(name), env)
            assert (finding.health, finding.cure) == (Health.OK, "")
            assert finding.said == "is there, with about 1 message waiting"
        got = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])
        (message,) = got["Messages"]
        assert message["Body"] == "one"
        assert message["Attributes"]["ApproximateReceiveCount"] == "1"

    @pytest.mark.parametrize("make", [SQSQueue, S3Bucket], ids=["queue", "bucket"])
    def test_one_that_is_not_there_is_not_made(self, env, sqs, s3, name, make):
        for _ in range(2):
            (finding,) = found(make(name), env)
            assert finding.health is Health.ERROR
            assert "does not exist in stack 'local'" in finding.said
            assert finding.cure == "%buildflow apply"

    def test_a_bucket_keeps_its_objects_and_gets_none(self, env, s3, name):
        s3.create_bucket(Bucket=name)
        (finding,) = found(S3Bucket(name), env)
        assert (finding.health, finding.said) == (Health.OK, "is there")
        assert "Contents" not in s3.list_objects_v2(Bucket=name)

    def test_a_stream_of_changes_is_its_bucket_and_its_queue(self, env, s3, sqs, name):
        stream = S3FileChangeStream(S3Bucket(name))
        s3.create_bucket(Bucket=name)
        bucket, queue = found(stream, env)
        assert bucket.subject == f"S3FileChangeStream {name}: S3Bucket {name}"
        assert (bucket.health, queue.health) == (Health.OK, Health.ERROR)
        assert queue.cure == "%buildflow apply"
        sqs.create_queue(QueueName=stream.sqs_queue.queue_name)
        assert [f.health for f in found(stream, env)] == [Health.OK, Health.OK]


@contextmanager
def answering(status: int, body: str, kind: str, hold: threading.Event | None = None):
    """A service that answers everything in one way, or holds its answer back."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if hold is not None:
                hold.wait(20)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer  # noqa: N815  (the names that the server looks for)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class TestRefused:
    @pytest.mark.parametrize(
        ("code", "health", "cure"),
        [
            ("AccessDenied", Health.WARNING, "allow s3:ListBucket, or just run it"),
            ("InvalidAccessKeyId", Health.ERROR, "renew them (InvalidAccessKeyId: no)"),
            ("NoSuchBucket", Health.ERROR, "%buildflow apply"),
        ],
    )
    def test_a_bucket(self, code, health, cure):
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        with answering(403, body, "application/xml") as url:
            (finding,) = found(S3Bucket("a-bucket"), env_of(url))
        assert (finding.health, finding.cure) == (health, cure)

    @pytest.mark.parametrize(
        ("code", "cure"),
        [
            ("AccessDenied", "allow the action sqs:GetQueueUrl (AccessDenied: no)"),
            ("InvalidClientTokenId", "renew them (InvalidClientTokenId: no)"),
        ],
    )
    def test_a_queue(self, code, cure):
        body = f'{{"__type": "com.amazonaws.sqs#{code}", "message": "no"}}'
        with answering(403, body, "application/x-amz-json-1.0") as url:
            (finding,) = found(SQSQueue("orders"), env_of(url))
        assert (finding.health, finding.cure) == (Health.ERROR, cure)

    def test_nobody_there(self):
        with answering(200, "", "") as url:
            pass
        (finding,) = found(SQSQueue("orders"), env_of(url))
        assert (finding.health, finding.cure) == (Health.ERROR, checks.UNREACHED)

    def test_no_answer_is_not_waited_for(self, monkeypatch):
        monkeypatch.setattr(checks, "CHECK_S", 0.1)
        hold = threading.Event()
        with answering(200, "", "", hold) as url:
            (finding,) = found(SQSQueue("orders"), env_of(url))
            hold.set()
        assert (finding.health, finding.said) == (Health.ERROR, "no answer within 0.1 s")

    def test_no_region(self, monkeypatch):
        for variable in ("AWS_DEFAULT_REGION", "AWS_REGION"):
            monkeypatch.delenv(variable, raising=False)
        (finding,) = found(SQSQueue("orders"), Env(aws=KEYS))
        assert finding.health is Health.ERROR
        assert finding.cure.startswith("give aws_region")
