"""Processors as they are declared: code, dependencies, primitives, options, and hooks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from buildflow_nb.core.credentials import AWSCredentials, FlowCredentials, GCPCredentials, Secret
from buildflow_nb.core.declaring.declare import collector_spec, consumer_spec, endpoint_spec
from buildflow_nb.core.declaring.dependencies import dependency_of
from buildflow_nb.core.declaring.flow_spec import ServiceSpec, replanned
from buildflow_nb.core.declaring.hooks import exception_hook, lifespan_hook, middleware_hook
from buildflow_nb.core.options import ServiceOptions
from buildflow_nb.core.portable import declared_as, elsewhere, placed
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.io.clickhouse import ClickhouseTable
from buildflow_nb.io.duckdb import DuckDBQuery, DuckDBTable
from buildflow_nb.io.gcp import (
    BigQueryDataset,
    BigQueryQuery,
    BigQueryTable,
    CloudSQLDatabase,
    CloudSQLInstance,
    CloudSQLUser,
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
    GCSFileChangeStream,
)
from buildflow_nb.io.local import Empty, File, LocalFileChangeStream, Pulse
from buildflow_nb.io.local.testing import PulseWithBacklog
from buildflow_nb.io.portable import (
    AnalysisTable,
    Bucket,
    FileChangeStream,
    Queue,
    RelationalTable,
    Topic,
)
from buildflow_nb.io.postgres import PostgresChanges, PostgresQuery, PostgresTable
from buildflow_nb.io.snowflake import SnowflakeTable
from buildflow_nb.runtime.shipping import CannotShipError, pack, pack_spec, unpack
from tests.fakes import FakeSink, FakeSource
from tests.io.contract_sharing import kinds
from tests.runtime.shipping.over_there import consume

HIDDEN = "hidden"
INSTANCE = CloudSQLInstance("main", "shop")
SNOWFLAKE = SnowflakeTable("orders", "shop", "public", account="a", user="u", password=HIDDEN)
PRIMITIVES = [
    S3Bucket("orders"),
    S3FileChangeStream(S3Bucket("orders")),
    SQSQueue("orders"),
    ClickhouseTable("shop", "orders", password=HIDDEN),
    DuckDBTable("shop.db", "orders", key="id"),
    DuckDBQuery("shop.db", "SELECT 1"),
    BigQueryDataset("shop", "sales"),
    BigQueryTable(BigQueryDataset("shop", "sales"), "orders"),
    BigQueryQuery("SELECT 1", "shop"),
    INSTANCE,
    CloudSQLDatabase("shop", INSTANCE),
    CloudSQLUser("me", "hidden", INSTANCE),
    GCSBucket("shop", "orders"),
    GCSFileChangeStream(GCSBucket("shop", "orders")),
    GCPPubSubTopic("shop", "orders"),
    GCPPubSubSubscription("shop", "orders"),
    Bucket("orders"),
    FileChangeStream("orders"),
    Queue("orders"),
    Topic("orders"),
    AnalysisTable("orders"),
    RelationalTable("orders", url="postgresql://u:hidden@127.0.0.1/shop"),
    Empty(),
    File("orders.jsonl"),
    LocalFileChangeStream("orders"),
    Pulse([1, 2], 0.5),
    PulseWithBacklog([1, 2], 0.5, 7),
    PostgresTable("orders", "postgresql://u:hidden@127.0.0.1/shop"),
    PostgresQuery("SELECT 1", "postgresql://u:hidden@127.0.0.1/shop"),
    PostgresChanges("orders"),
    SNOWFLAKE,
    *SNOWFLAKE.parents(),
    *SNOWFLAKE.parents()[0].parents(),
]


def kind(thing):
    return type(thing).__name__


def test_every_primitive_is_here():
    assert {found.__name__ for found in kinds()} == set(map(kind, PRIMITIVES))


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=kind)
def test_a_primitive_is_the_same_over_there_and_back(child, primitive):
    def same(x):
        return x, repr(x), x.primitive_id

    found = child.call(same, primitive)
    assert found == (primitive, repr(primitive), primitive.primitive_id)
    assert "hidden" not in found[1]


def test_what_a_primitive_was_declared_as_goes_along(child):
    (queue,) = placed(Queue("orders"), Env(provider="aws"), "source")
    found, said = child.call(lambda x: (x, declared_as(x)), queue)
    assert said == declared_as(queue) == declared_as(found) == "Queue orders"
    assert (
        elsewhere(found, Env(provider="gcp"))[0]
        == placed(Queue("orders"), Env(provider="gcp"), "source")[0]
    )


def test_a_source_that_nobody_else_can_read_is_refused(notebook):
    notebook("def price(x: int) -> int: ...")
    spec = consumer_spec(lambda_named(), Pulse((i for i in [1]), 1), FakeSink(), {})
    with pytest.raises(CannotShipError, match=r"^consumer 'price': has the source .*, which holds"):
        pack_spec(spec)


def lambda_named():
    def price(x: int) -> int:
        return x

    return price


CONSUMERS = {
    "a function": """
        RATE = 3
        def helper(x): return x * RATE
        def price(x: int) -> int: return helper(x)
    """,
    "an async function": """
        import asyncio
        async def price(x: int) -> int:
            await asyncio.sleep(0)
            return x * 3
    """,
    "a generator": """
        def price(x: int):
            yield x * 3
    """,
    "a class": """
        class Base:
            def setup(self): self.rate = 3
        class price(Base):
            async def setup(self):
                super().setup()
            def process(self, x: int) -> int: return x * self.rate
            def teardown(self): del self.rate
    """,
    "a dependency": """
        from buildflow_nb.dependencies import dependency, Scope
        @dependency(Scope.REPLICA)
        class Rates:
            def __init__(self): self.lock, self.rate = __import__("threading").Lock(), 3
        @dependency(Scope.PROCESS)
        class Prices:
            def __init__(self, rates: Rates): self.rates = rates
            def price(self, x): return x * self.rates.rate
        def price(x: int, prices: Prices) -> int: return prices.price(x)
    """,
    "dependencies that are functions": """
        from typing import Annotated
        from buildflow_nb.dependencies import dependency, Scope
        @dependency(Scope.GLOBAL)
        def rate():
            yield 3
        @dependency(Scope.PROCESS)
        async def price_of(rate: Annotated[int, rate]): return lambda x: x * rate
        def price(x: int, of: Annotated[object, price_of]) -> int: return of(x)
    """,
}


@pytest.mark.parametrize("text", CONSUMERS.values(), ids=CONSUMERS)
def test_a_consumer_works_over_there(notebook, child, text):
    cell = notebook(text)
    spec = consumer_spec(cell.price, FakeSource([[1, 2], [3]]), FakeSink(), {"num_concurrency": 2})
    pack_spec(spec)
    assert sorted(child.call(consume, spec)) == [3, 6, 9]


ELEMENTS = {
    "dataclass": "@dataclass\nclass Order:\n    id: int\n    qty: int = 1",
    "slots": "@dataclass(slots=True, kw_only=True)\nclass Order:\n    id: int\n    qty: int = 1",
    "TypedDict": "class Order(TypedDict):\n    id: int\n    qty: NotRequired[int]",
    "NamedTuple": "class Order(NamedTuple):\n    id: int\n    qty: int = 1",
    "Struct": "class Order(msgspec.Struct):\n    id: int\n    qty: int = 1",
    "pydantic": "class Order(pydantic.BaseModel):\n    id: int\n    qty: int = 1",
    "pydantic's dataclass": "@pydantic.dataclasses.dataclass\nclass Order:\n    id: int\n"
    "    qty: int = 1",
}


@pytest.mark.parametrize("is_text", [False, True])
@pytest.mark.parametrize("text", ELEMENTS.values(), ids=ELEMENTS)
def test_typed_elements_are_decoded_over_there_and_come_back(notebook, child, text, is_text):
    future = "from __future__ import annotations\n" if is_text else ""
    head = """import msgspec, pydantic, pydantic.dataclasses
from dataclasses import dataclass
from typing import NamedTuple, NotRequired, TypedDict
"""
    cell = notebook(f"{future}{head}{text}\ndef price(order: Order) -> Order: return order")
    raw = {"id": 4, "qty": 2}
    spec = consumer_spec(cell.price, FakeSource([[raw]]), FakeSink(), {})
    found = child.call(consume, spec)
    assert found == consume(spec)
    assert type(found[0]) is (dict if text.startswith("class Order(TypedDict") else cell.Order)
    source = FakeSource([[raw, {"qty": "odd"}]])
    spec = consumer_spec(cell.price, source, FakeSink(), {"retries": 0})
    with pytest.raises(Exception, match=r"id|qty") as there:
        child.call(consume, spec)
    with pytest.raises(Exception, match=r"id|qty") as here:
        consume(spec)
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


def test_a_dependency_is_the_same_each_time_that_it_is_sent(notebook, child):
    cell = notebook("""
        from buildflow_nb.dependencies import dependency, Scope
        @dependency(Scope.REPLICA)
        class Rates: ...
        def price(x: int, rates: Rates) -> int: return x
        kept = []
        def keep(spec):
            import sys
            store = sys.modules.setdefault("kept over there", [])
            store.append(spec)
            return len(store), [store[0].processor.arguments == one.processor.arguments
                                for one in store]
    """)
    spec = consumer_spec(cell.price, FakeSource([]), FakeSink(), {})
    assert child.call(cell.keep, spec) == (1, [True])
    assert child.call(cell.keep, spec) == (2, [True, True])
    notebook("@dependency(Scope.REPLICA)\nclass Rates: ...")
    assert child.call(cell.keep, replanned(spec, {})) == (3, [True, True, False])


def test_overrides_go_as_they_are(notebook, child):
    cell = notebook("""
        from buildflow_nb.dependencies import dependency, Scope
        @dependency(Scope.REPLICA)
        class Rates:
            rate = 3
        class Fake:
            rate = 5
        def price(x: int, rates: Rates) -> int: return x * rates.rate
    """)
    from buildflow_nb.core.declaring.dependencies import stand_in

    spec = consumer_spec(cell.price, FakeSource([[1, 2]]), FakeSink(), {})
    made = dependency_of(cell.Rates)
    for instead in (cell.Fake(), cell.Fake):
        given = replanned(spec, {made: stand_in(made, instead)})
        assert child.call(consume, given) == [5, 10]


def test_a_value_that_stands_for_a_dependency_and_cannot_go_is_named(notebook):
    cell = notebook("""
        import threading
        from buildflow_nb.dependencies import dependency, Scope
        @dependency(Scope.REPLICA)
        class Rates: ...
        @dependency(Scope.REPLICA)
        class Uses:
            def __init__(self): lock
        lock = threading.Lock()
        def price(x: int, rates: Rates) -> int: return x
        def cost(x: int, uses: Uses) -> int: return x
    """)
    from buildflow_nb.core.declaring.dependencies import stand_in

    spec = consumer_spec(cell.price, FakeSource([[1, 2]]), FakeSink(), {})
    made = dependency_of(cell.Rates)
    given = replanned(spec, {made: stand_in(made, cell.lock)})
    with pytest.raises(CannotShipError, match=r"'price': uses the dependency 'Rates', which has a"):
        pack_spec(given)
    spec = consumer_spec(cell.cost, FakeSource([[1, 2]]), FakeSink(), {})
    with pytest.raises(CannotShipError, match=r"dependency 'Uses', which uses 'lock' \(line 8\)"):
        pack_spec(spec)


def test_routes_with_their_marks_options_and_dead_letters(notebook, child):
    cell = notebook("""
        from typing import Annotated
        import pydantic
        from buildflow_nb.requests import Header, Query
        Many = Annotated[list[int], Query(min_length=1)]
        class Order(pydantic.BaseModel):
            id: int
        def price(id: int, token: str = Header(default="t"),
                  many: Many = [1]) -> Order: return Order(id=id)
        def store(order: Order) -> Order: return order
        def same(x): return x, x.processor.target(3)
    """)
    service = ServiceSpec("shop", "/shop", ServiceOptions(num_replicas=2, max_concurrent_queries=7))
    spec = endpoint_spec(cell.price, "/price/{id}", "GET", service)
    back, made = child.call(cell.same, spec)
    assert back.options == spec.options
    assert [(p.name, p.hint, p.required) for p in back.processor.parameters] == [
        (p.name, p.hint, p.required) for p in spec.processor.parameters
    ]
    assert made == cell.Order(id=3)
    words = {"dead_letter": File("dead.jsonl"), "retries": 5}
    spec = collector_spec(cell.store, "/store", "POST", SQSQueue("orders"), words)
    back, _ = child.call(cell.same, spec)
    assert (back.options, back.sink, back.route) == (spec.options, spec.sink, spec.route)


def test_hooks_and_middleware(notebook, child):
    cell = notebook("""
        ready = []
        def start(): ready.append(1)
        class NoStock(Exception): ...
        async def answer(request, error: NoStock): return str(error)
        async def around(request, call_next): return await call_next(request)
        class Asgi:
            def __init__(self, app, *, limit): self.limit = limit
        def use(hooks):
            import asyncio
            start, answer, around, asgi = hooks.values()
            start.target()
            said = asyncio.run(answer.target(None, NoStock("none")))
            return said, asgi.target(None, **asgi.options).limit, list(hooks), ready
    """)
    from starlette.middleware.gzip import GZipMiddleware

    made = [
        lifespan_hook("on_startup", cell.start),
        exception_hook(cell.NoStock, cell.answer),
        middleware_hook(cell.around, {}),
        middleware_hook(cell.Asgi, {"limit": 4}, "shop", "/shop"),
    ]
    hooks = {hook.key: hook for hook in made}
    assert child.call(cell.use, hooks) == ("none", 4, list(hooks), [1])
    library = middleware_hook(GZipMiddleware, {"minimum_size": 5})
    assert unpack(pack(library)) == library


def test_an_env_with_credentials(child):
    env = Env(
        "made",
        Path("/shop"),
        {"s3": "http://127.0.0.1:1"},
        AWSCredentials(Secret("hidden"), Secret("hidden")),
        GCPCredentials(Secret("hidden")),
        cloud="local",
    )
    both = env, FlowCredentials(env.gcp, env.aws)

    def same(x: object) -> Mapping[str, object]:
        return {"x": x, "repr": repr(x)}

    assert child.call(same, both) == {"x": both, "repr": repr(both)}
    assert "hidden" not in repr(both)


def test_a_secret_is_in_the_bytes_and_in_no_error(notebook):
    cell = notebook("""
        import threading
        from buildflow_nb.core.credentials import Secret
        token, lock = Secret("hidden-1234"), threading.Lock()
        names = {"token": token, token: lock}
        def price(x: int) -> int: return names
    """)
    assert b"hidden-1234" in pack(cell.token)
    spec = consumer_spec(cell.price, FakeSource([]), FakeSink(), {})
    with pytest.raises(CannotShipError, match=r"uses 'names' \(line 6\), which holds") as caught:
        pack_spec(spec)
    assert "hidden" not in str(caught.value)
