"""Routes that take and give dataclasses of pydantic's."""

from __future__ import annotations

import pydantic
import pydantic.dataclasses

from tests.fakes import FakeSink
from tests.runtime.http.site import Site, serve


@pydantic.dataclasses.dataclass
class Line:
    sku: str = pydantic.Field(min_length=2)
    qty: int = pydantic.Field(default=1, gt=0)


async def one(line: Line) -> Line:
    return line


async def many(lines: list[Line]) -> list[Line]:
    return lines


async def keep(line: Line) -> Line:
    return line


def test_endpoints_and_collectors_check_and_describe_them():
    async def scenario(site: Site):
        sink = FakeSink()
        await site.endpoint(one, "/one")
        await site.endpoint(many, "/many")
        await site.collector(keep, sink, "/keep")
        whole = {"sku": "ab", "qty": 1}
        assert (await site.post({"sku": "ab"}, "/one")).json == whole
        assert (await site.post([{"sku": "ab"}], "/many")).json == [whole]
        assert (await site.post({"sku": "ab"}, "/keep")).status == 200
        assert sink.tape.pushed == [Line("ab")]
        for path, body in (("/one", {"sku": "a"}), ("/many", [{"sku": "a"}]), ("/keep", {})):
            assert (await site.post(body, path)).status == 422, path
        document = (await site.get("/openapi.json")).json
        line = document["components"]["schemas"]["Line"]
        assert line["properties"]["sku"]["minLength"] == 2
        assert line["properties"]["qty"]["default"] == 1
        body = document["paths"]["/many"]["post"]["requestBody"]["content"]["application/json"]
        assert body["schema"]["items"] == {"$ref": "#/components/schemas/Line"}

    serve(scenario)
