"""Each type of Snowflake by itself, on a server of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import grpc
import pytest

from buildflow_nb.local_cloud.provider import ProviderServers
from buildflow_nb.local_cloud.provider.server import served as packages_served
from buildflow_nb.local_cloud.provider.snowflake import SNOWFLAKE as PACKAGE
from buildflow_nb.local_cloud.snowflake.store import SNOWFLAKE
from tests.local_cloud.provider.contract import ResourceContract
from tests.local_cloud.provider.instance import Instance, made
from tests.local_cloud.servers import GivenServices, served

pytestmark = pytest.mark.emulator

DATABASE, SCHEMA = "snowflake:index/database:Database", "snowflake:index/schema:Schema"
TABLE, PIPE = "snowflake:index/table:Table", "snowflake:index/pipe:Pipe"
STAGE = "snowflake:index/stageInternal:StageInternal"
COLUMNS = [
    {"name": "at", "type": "TIMESTAMP_TZ", "nullable": False},
    {"name": "n", "type": "NUMBER(38, 0)", "nullable": True},
    {"name": "s", "type": "VARCHAR", "nullable": True},
]


class Woken(GivenServices):
    """A local cloud's stores, of which one is there."""

    woken = 0

    def wake(self, service):
        self.woken += 1
        return super().wake(service)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    with served(SNOWFLAKE, tmp_path_factory.mktemp("snowflake")) as server:
        yield Woken(server)


@pytest.fixture(scope="module")
def port(stores):
    servers = ProviderServers([PACKAGE], stores)
    yield servers.start()["snowflake"]
    servers.stop()


@pytest.fixture
def provider(port):
    instance = Instance(port)
    instance.attach()
    instance.configure(host="127.0.0.1")
    with instance.channel:
        yield instance


@pytest.fixture
def shop(provider):
    for _ in made(provider, DATABASE, {"name": "Shop"}):
        yield "Shop"


@pytest.fixture
def raw(provider, shop):
    for _ in made(provider, SCHEMA, {"name": "Raw", "database": shop}):
        yield {"database": shop, "schema": "Raw"}


class Contract(ResourceContract):
    replacing: ClassVar[dict] = {"name": "another", "database": "other", "schema": "other"}

    @pytest.fixture
    def instance(self, provider):
        return provider

    def schema(self):
        return next(each.schema for each in PACKAGE.resources if each.schema.token == self.token)

    def test_one_that_is_there_is_not_taken_over(self, instance, inputs):
        checked = instance.check(self.token, inputs)
        resource_id, outputs = instance.create(self.token, checked)
        with pytest.raises(grpc.RpcError, match="is there already; import it"):
            instance.create(self.token, checked)
        instance.delete(self.token, resource_id, outputs)

    @pytest.mark.parametrize("name", ["", "a.b", "a|b", 'a"b'])
    def test_names_that_cannot_be_told_apart(self, instance, inputs, name):
        assert "has no | ." in instance.failures(self.token, {**inputs, "name": name})["name"]


class TestDatabase(Contract):
    token = DATABASE
    replacing: ClassVar[dict] = {"name": "another"}

    @pytest.fixture
    def inputs(self):
        return {"name": "Own"}


class TestSchema(Contract):
    token = SCHEMA
    replacing: ClassVar[dict] = {"name": "another", "database": "other"}

    @pytest.fixture
    def inputs(self, shop):
        return {"name": "Own", "database": shop}

    def test_what_was_dropped_behind_our_back_is_gone(self, instance, inputs, shop):
        checked = instance.check(self.token, inputs)
        resource_id, outputs = instance.create(self.token, checked)
        assert resource_id == '"Shop"."Own"'
        assert instance.read(self.token, "Shop|Own")[0] == resource_id
        instance.delete(self.token, resource_id, outputs)
        assert instance.read(self.token, resource_id, outputs, checked)[0] == ""
        with pytest.raises(grpc.RpcError, match=r"'Own' is no schema; give database\|name"):
            instance.read(self.token, "Own")


class TestStage(Contract):
    token = STAGE

    @pytest.fixture
    def inputs(self, raw):
        return {"name": "st", **raw}


class TestPipe(Contract):
    token = PIPE
    replacing: ClassVar[dict] = {**Contract.replacing, "copyStatement": "COPY INTO b FROM @c"}

    @pytest.fixture
    def inputs(self, raw):
        return {"name": "p", **raw, "copyStatement": "COPY INTO \"a\" FROM (SELECT $1:'x' FROM @b)"}


class TestTable(Contract):
    token = TABLE
    change: ClassVar[dict] = {
        "columns": [*COLUMNS[:2], {"name": "new", "type": "ARRAY", "nullable": True}]
    }

    @pytest.fixture
    def inputs(self, raw):
        return {"name": "t order", **raw, "columns": COLUMNS}

    def test_another_type_is_refused(self, instance, inputs):
        checked = instance.check(self.token, inputs)
        resource_id, outputs = instance.create(self.token, checked)
        changed = [*COLUMNS[:2], {**COLUMNS[2], "type": "FLOAT"}]
        news = instance.check(self.token, {**inputs, "columns": changed}, checked.values)
        with pytest.raises(grpc.RpcError, match="column 's': the local cloud changes no types"):
            instance.update(self.token, resource_id, outputs, checked, news)
        instance.delete(self.token, resource_id, outputs)


def test_a_plan_starts_nothing(provider, stores):
    before = stores.woken
    provider.create(DATABASE, provider.check(DATABASE, {"name": "planned"}), preview=True)
    assert stores.woken == before


def test_other_types_are_refused_by_name(provider):
    with pytest.raises(grpc.RpcError, match="does not serve snowflake:index/task:Task; of snow"):
        provider.check("snowflake:index/task:Task", {})


def test_no_other_host_is_dialled(port):
    instance = Instance(port)
    instance.attach()
    with instance.channel:
        instance.configure()
        assert "has no host" in instance.failures(DATABASE, {"name": "x"})[""]
        with pytest.raises(grpc.RpcError, match="is not of this machine"):
            instance.configure(host="myorg.snowflakecomputing.com")


def test_without_the_extra_there_are_the_other_two(monkeypatch):
    assert [package.name for package in packages_served()] == ["aws", "gcp", "snowflake"]
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert [package.name for package in packages_served()] == ["aws", "gcp"]


def test_serving_loads_no_client():
    program = (
        "import sys; from buildflow_nb.local_cloud.provider.server import served; served(); "
        "print({'snowflake.connector', 'pulumi_snowflake'} & sys.modules.keys())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.strip() == "set()"
