"""Forms, files, headers, cookies, bounds and response classes in the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pydantic
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from buildflow_nb.requests import (
    Body,
    Cookie,
    File,
    Form,
    Header,
    Path,
    Query,
    Request,
    UploadFile,
)
from buildflow_nb.responses import (
    EventSourceResponse,
    FileResponse,
    HTMLResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from buildflow_nb.runtime.http.openapi import one_version_down
from tests.runtime.http.site import Site, serve


@dataclass
class Paging:
    limit: int
    page_no: int = 1


class Login(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=2)


async def everything(  # noqa: PLR0913, PLR0917
    request: Request,
    item: Annotated[int, Path(ge=1, description="Which one.")],
    paging: Annotated[Paging, Query()],
    more: Annotated[Paging, Header()],
    q: str = Query("a", max_length=5, alias="item-query", deprecated=True, examples=["b"]),
    user_agent: str = Header(title="Who asks"),
    hidden: str = Header("", include_in_schema=False),
    session: Annotated[str | None, Cookie()] = None,
    qty: int = Body(gt=0, lt=10),
    note: str = Body("n", embed=True, description="A note."),
) -> HTMLResponse:
    return HTMLResponse("")


async def form(login: Annotated[Login, Form()]) -> EventSourceResponse:
    return EventSourceResponse([])


async def upload(
    photo: UploadFile,
    more: list[UploadFile] = File([], description="More of them."),
    title: str = Form(max_length=80),
    raw: bytes | None = File(None),
) -> RedirectResponse:
    return RedirectResponse("/")


async def download() -> FileResponse:
    return FileResponse("a")


async def stream() -> StreamingResponse:
    return StreamingResponse([])


async def either() -> Paging | Response:
    return Paging(1)


async def embedded(paging: Annotated[Paging, Body(embed=True, media_type="a/b")]) -> None: ...


ROUTES = [
    (everything, "/e/{item}", "POST"),
    (form, "/form", "POST"),
    (upload, "/upload", "POST"),
    (download, "/file", "GET"),
    (stream, "/stream", "GET"),
    (either, "/either", "GET"),
    (embedded, "/embedded", "PUT"),
]


@pytest.fixture(scope="module")
def document():
    found = {}

    async def scenario(site: Site):
        for function, route, method in ROUTES:
            await site.endpoint(function, route, method)
        found.update((await site.get("/openapi.json")).json)

    serve(scenario)
    return found


def test_an_outside_validator_finds_nothing_wrong(document):
    OpenAPIV31SpecValidator(document).validate()


def test_an_older_viewer_is_given_what_it_understands(document):
    lowered = one_version_down(document)
    OpenAPIV30SpecValidator(lowered).validate()
    body = lowered["paths"]["/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]
    members = body["schema"]["properties"]
    assert members["photo"] == {"type": "string", "format": "binary"}
    assert members["more"]["items"] == {"type": "string", "format": "binary"}
    whole = lowered["paths"]["/e/{item}"]["post"]["requestBody"]["content"]["application/json"]
    assert whole["schema"]["properties"]["qty"] == {
        "type": "integer",
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": 10,
        "exclusiveMaximum": True,
    }


def test_parameters_say_where_they_come_from_and_what_they_may_be(document):
    told = document["paths"]["/e/{item}"]["post"]["parameters"]
    by_name = {(one["in"], one["name"]): one for one in told}
    assert list(by_name) == [
        ("path", "item"),
        ("query", "limit"),
        ("query", "page_no"),
        ("header", "limit"),
        ("header", "page-no"),
        ("query", "item-query"),
        ("header", "user-agent"),
        ("cookie", "session"),
    ]
    item = by_name["path", "item"]
    assert (item["description"], item["schema"]["minimum"]) == ("Which one.", 1)
    query = by_name["query", "item-query"]
    assert (query["deprecated"], query["required"]) == (True, False)
    wanted = {"type": "string", "maxLength": 5, "default": "a", "examples": ["b"]}
    assert query["schema"] == wanted
    assert by_name["header", "user-agent"]["required"] is True
    assert by_name["header", "user-agent"]["schema"]["title"] == "Who asks"


def test_bodies_say_how_they_are_sent(document):
    def content(path, method="post"):
        return document["paths"][path][method]["requestBody"]["content"]

    whole = content("/e/{item}")["application/json"]["schema"]
    assert whole["required"] == ["qty"]
    assert whole["properties"]["note"]["description"] == "A note."
    kinds = content("/form")
    assert kinds == {
        "application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/Login"}}
    }
    files = content("/upload")["multipart/form-data"]["schema"]
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    assert files["required"] == ["photo", "title"]
    assert files["properties"] == {
        "photo": binary,
        "more": {"type": "array", "items": binary, "description": "More of them."},
        "title": {"type": "string", "maxLength": 80},
        "raw": binary,
    }
    assert content("/embedded", "put")["a/b"]["schema"]["required"] == ["paging"]


@pytest.mark.parametrize(
    ("path", "method", "status", "kind"),
    [
        ("/e/{item}", "post", "200", "text/html"),
        ("/form", "post", "200", "text/event-stream"),
        ("/upload", "post", "307", None),
        ("/file", "get", "200", "*/*"),
        ("/stream", "get", "200", "*/*"),
        ("/either", "get", "200", "application/json"),
    ],
)
def test_answers_say_of_what_kind_they_are(document, path, method, status, kind):
    told = document["paths"][path][method]["responses"]
    assert min(told) == status
    assert list(told[status].get("content", {})) == ([] if kind is None else [kind])
