"""Parameters that can never take what a source gives are refused when they are declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pydantic
import pytest

from buildflow_nb import Flow
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.io.gcp import GCPPubSubSubscription, GCSBucket, GCSFileChangeStream
from buildflow_nb.io.local import LocalFileChangeStream
from buildflow_nb.types.aws import S3FileChangeEvent
from buildflow_nb.types.gcp import GCSFileChangeEvent, PubsubMessage
from buildflow_nb.types.local import LocalFileChangeEvent
from buildflow_nb.types.portable import FileChangeEvent

DATA = GCPPubSubSubscription("p-1", "orders")
WHOLE = DATA.options(include_attributes=True)
QUEUE = SQSQueue("orders")
S3 = S3FileChangeStream(S3Bucket("inbox"))
LOCAL = LocalFileChangeStream("inbox")
GCS = GCSFileChangeStream(GCSBucket("p-1", "inbox"))


@dataclass
class Order:
    id: int


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(from_attributes=True)
    data: bytes


class Row(TypedDict):
    data: bytes


class Own(PubsubMessage):
    @classmethod
    def from_bytes(cls, data: bytes) -> Own:
        return cls(data)

    @classmethod
    def from_string(cls, text: str) -> Own:
        return cls(text.encode())


def declared(source, hint):
    def work(element):
        return None

    work.__annotations__["element"] = hint
    return Flow().consumer(source=source)(work)


@pytest.mark.parametrize("hint", [PubsubMessage, PubsubMessage | None, Annotated[PubsubMessage, 1]])
def test_a_message_needs_its_attributes(hint):
    with pytest.raises(DeclarationError) as caught:
        declared(DATA, hint)
    assert str(caught.value) == (
        "consumer 'work', parameter 'element': GCPPubSubSubscription orders gives the data of "
        "messages alone; for PubsubMessage write .options(include_attributes=True)"
    )


@pytest.mark.parametrize(
    ("source", "hint", "said"),
    [
        (WHOLE, Order, "gives PubsubMessage objects, which never become Order; annotate the para"),
        (WHOLE, bytes, "which never become bytes"),
        (WHOLE, Order | None, "which never become"),
        (WHOLE, Row, "which never become Row"),
        (WHOLE, dict, "which never become dict"),
        (WHOLE, list[PubsubMessage], "which never become list"),
        (WHOLE, GCSFileChangeEvent, "which never become GCSFileChangeEvent"),
        (S3, GCSFileChangeEvent, "gives S3FileChangeEvent objects, which never become GCSFile"),
        (S3, LocalFileChangeEvent, "annotate the parameter as S3FileChangeEvent"),
        (S3, str, "which never become str"),
        (GCS, S3FileChangeEvent, "gives GCSFileChangeEvent objects, which never become S3File"),
        (GCS, PubsubMessage, "which never become PubsubMessage"),
        (LOCAL, S3FileChangeEvent, "gives LocalFileChangeEvent objects, which never become S3File"),
        (LOCAL, str, "which never become str"),
        (QUEUE, PubsubMessage, "and PubsubMessage comes from GCPPubSubSubscription with include"),
        (QUEUE, S3FileChangeEvent, "and S3FileChangeEvent comes from S3FileChangeStream only"),
        (DATA, GCSFileChangeEvent | None, "comes from GCSFileChangeStream only"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_never_becomes_it_is_refused(source, hint, said):
    with pytest.raises(DeclarationError) as caught:
        declared(source, hint)
    message = str(caught.value)
    assert message.startswith("consumer 'work', parameter 'element': ")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (WHOLE, PubsubMessage),
        (WHOLE, PubsubMessage | None),
        (WHOLE, Annotated[PubsubMessage, "why"]),
        (WHOLE, Any),
        (WHOLE, object),
        (WHOLE, Model),
        (S3, S3FileChangeEvent),
        (LOCAL, LocalFileChangeEvent),
        (LOCAL, FileChangeEvent),
        (S3, FileChangeEvent),
        (S3, S3FileChangeEvent | GCSFileChangeEvent),
        (GCS, GCSFileChangeEvent),
        (GCS, FileChangeEvent),
        (QUEUE, Order),
        (QUEUE, str),
        (QUEUE, dict),
        (QUEUE, Own),
        (DATA, Own),
        (DATA, bytes),
        (DATA, Model),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_fits_is_taken(source, hint):
    declared(source, hint)


def test_a_parameter_without_a_type_takes_anything():
    def work(element):
        return None

    for source in (WHOLE, DATA, S3, GCS, QUEUE):
        Flow().consumer(source=source)(work)
