"""What differs on a real cloud: TLS, credentials with every call, and where a call is routed."""

from __future__ import annotations

import datetime as dt
import ipaddress
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.pubsub_v1 import types

TOKEN = "a-token-of-google"  # noqa: S105
PULLED = types.StreamingPullResponse(
    received_messages=[{"ack_id": "a-1", "message": {"data": b"hello", "message_id": "7"}}]
)

CLIENT = """
import asyncio, sys
import google.auth
from google.oauth2.credentials import Credentials
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.gcp import GCPPubSubSubscription, GCPPubSubTopic
from buildflow_nb.io.gcp.pubsub import client

client.PUBSUB = sys.argv[1]
google.auth.default = lambda scopes: (Credentials(sys.argv[2]), "p-1")

async def go():
    async with GCPPubSubTopic("p-1", "orders").sink(Env(), None) as sink:
        await sink.push([b"hello"])
    async with GCPPubSubSubscription("p-1", "to-ship").source(Env()) as source:
        batch = await source.pull()
        await source.settle(batch.receipts, ok=True)
        print(*batch.items)

asyncio.run(asyncio.wait_for(go(), 20))
"""


@pytest.fixture
def identity():
    """A key and a certificate for localhost, which signs itself; in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return secret, certificate.public_bytes(pem)


class Google(grpc.GenericRpcHandler):
    """Answers the calls of the client, and notes what came with them."""

    def __init__(self):
        self.seen = {}

    def service(self, details):
        method = details.method.rpartition("/")[2]
        self.seen[method] = dict(details.invocation_metadata)
        if method == "StreamingPull":
            return grpc.stream_stream_rpc_method_handler(self.stream)
        return grpc.unary_unary_rpc_method_handler(lambda *_: b"")

    @staticmethod
    def stream(requests, context):
        yield types.StreamingPullResponse.serialize(PULLED)
        for _ in requests:
            pass


@pytest.fixture
def google(identity):
    handler = Google()
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((handler,))
    handler.port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([identity]))
    server.start()
    yield handler
    server.stop(0).wait(5)


def test_calls_go_by_tls_with_credentials_and_say_where_to(google, identity, tmp_path, monkeypatch):
    roots = tmp_path / "roots.pem"
    roots.write_bytes(identity[1])
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(roots))
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")  # what only Google's client minds
    words = [sys.executable, "-c", CLIENT, f"127.0.0.1:{google.port}", TOKEN]
    done = subprocess.run(words, capture_output=True, text=True, timeout=40, check=False)
    assert done.stdout == "b'hello'\n", done.stderr
    assert set(google.seen) == {"Publish", "StreamingPull", "Acknowledge"}
    assert {said["authorization"] for said in google.seen.values()} == {f"Bearer {TOKEN}"}
    routes = {method: said["x-goog-request-params"] for method, said in google.seen.items()}
    there = "subscription=projects%2Fp-1%2Fsubscriptions%2Fto-ship"
    assert routes == {
        "Publish": "topic=projects%2Fp-1%2Ftopics%2Forders",
        "StreamingPull": there,
        "Acknowledge": there,
    }


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(google):
    words = [sys.executable, "-c", CLIENT, f"127.0.0.1:{google.port}", TOKEN]
    done = subprocess.run(words, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode != 0
    assert "TemporaryError: topic 'orders' cannot be reached" in done.stderr
    assert TOKEN not in done.stderr
    assert google.seen == {}
