"""Sessions over real sqlite files: one for each call, rolled back and closed at its end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy
from sqlalchemy import text

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.declaring.dependencies import dependency_of, provider_of
from buildflow_nb.core.declaring.scope import Scope
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Health
from buildflow_nb.core.primitive import Env
from buildflow_nb.dependencies.sqlalchemy import (
    AsyncSessionDepBuilder,
    SessionDepBuilder,
    async_engine,
    engine,
)
from buildflow_nb.io.aws import S3Bucket
from tests.dependencies.making import made
from tests.fakes import PATIENCE_S

TABLE = "create table if not exists orders (id integer primary key)"
COUNT = text("select count(*) from orders")
ADD = text("insert into orders default values")


@pytest.fixture
def env(tmp_path):
    return Env(folder=tmp_path)


class Replica:
    """What lives as long as a replica: the maker, kept from call to call."""

    def __init__(self, dep, env):
        self.dep, self.env, self.kept = dep, env, {}

    async def call(self):
        maker = provider_of(dependency_of(self.dep)).arguments[0].source
        lasting = {one: made for one, made in self.kept.items() if one is maker.dependency}
        self.kept = dict(lasting)
        return await made(self.dep, env=self.env, kept=self.kept)

    @property
    def maker(self):
        (found,) = (one for one in self.kept.values() if hasattr(one, "engine"))
        return found


def test_a_session_for_each_call_over_one_engine(env):
    replica = Replica(SessionDepBuilder("sqlite:///shop.db"), env)
    one, other = asyncio.run(replica.call()), asyncio.run(replica.call())
    assert one.session is not other.session
    assert one.session.get_bind() is other.session.get_bind()
    assert dependency_of(replica.dep).scope is Scope.PROCESS
    asyncio.run(replica.maker.aclose())


def test_a_relative_path_starts_at_the_flows_folder(env):
    call = asyncio.run(Replica(SessionDepBuilder("sqlite:///shop.db"), env).call())
    call.session.execute(text(TABLE))
    call.session.commit()
    call.close()
    assert (env.folder / "shop.db").is_file()


def test_an_absolute_path_is_kept(env, tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "shop.db"
    call = asyncio.run(Replica(SessionDepBuilder(f"sqlite:///{file}"), env).call())
    call.session.execute(text(TABLE))
    call.close()
    assert file.is_file()


def test_what_was_not_committed_is_rolled_back(env):
    replica = Replica(SessionDepBuilder("sqlite:///shop.db"), env)

    def count():
        call = asyncio.run(replica.call())
        found = call.session.execute(COUNT).scalar()
        call.close()
        return found

    first = asyncio.run(replica.call())
    first.session.execute(text(TABLE))
    first.session.execute(ADD)
    first.session.commit()
    first.session.execute(ADD)
    first.close()
    assert count() == 1
    pool = replica.maker.engine.pool
    assert pool.checkedout() == 0
    asyncio.run(replica.maker.aclose())
    assert pool is not replica.maker.engine.pool  # disposed of: a new one would be begun


def test_the_same_awaited(env):
    async def run():
        replica = Replica(AsyncSessionDepBuilder("sqlite:///shop.db"), env)
        first = await replica.call()
        await first.session.execute(text(TABLE))
        await first.session.execute(ADD)
        await first.session.commit()
        await first.session.execute(ADD)
        await first.aclose()
        second = await replica.call()
        found = (await second.session.execute(COUNT)).scalar()
        await second.aclose()
        checked_out = replica.maker.engine.pool.checkedout()
        await replica.maker.aclose()
        return found, checked_out, second.session is not first.session

    assert asyncio.run(run()) == (1, 0, True)
    assert (env.folder / "shop.db").is_file()


def test_a_database_in_memory_is_one_for_all_threads_and_they_take_turns(env):
    replica = Replica(SessionDepBuilder("sqlite://"), env)
    first = asyncio.run(replica.call())
    first.session.execute(text(TABLE))
    first.session.commit()
    first.close()
    make, together = replica.maker.make, threading.Barrier(8)

    def add(_):
        together.wait(10)
        session = make()
        session.execute(ADD)
        session.commit()
        session.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(8)))
    session = make()
    assert session.execute(COUNT).scalar() == 8
    session.close()
    asyncio.run(replica.maker.aclose())


def test_a_database_in_memory_is_one_for_all_tasks(env):
    async def run():
        replica = Replica(AsyncSessionDepBuilder("sqlite://"), env)
        first = await replica.call()
        await first.session.execute(text(TABLE))
        await first.session.commit()
        await first.aclose()

        async def add():
            async with replica.maker.make() as session:
                await session.execute(ADD)
                await session.commit()

        await asyncio.gather(*(add() for _ in range(8)))
        last = await replica.call()
        found = (await last.session.execute(COUNT)).scalar()
        await last.aclose()
        await replica.maker.aclose()
        return found

    assert asyncio.run(run()) == 8


def test_the_words_of_the_builder_reach_session_and_engine(env):
    dep = SessionDepBuilder(
        "sqlite:///shop.db", expire_on_commit=True, autoflush=True, pool_size=3, echo=False
    )
    replica = Replica(dep, env)
    session = asyncio.run(replica.call()).session
    assert session.autoflush
    assert session.expire_on_commit
    assert replica.maker.engine.pool.size() == 3
    plain = Replica(SessionDepBuilder("sqlite:///shop.db"), env)
    session = asyncio.run(plain.call()).session
    assert (session.autoflush, session.expire_on_commit) == (False, False)


class Orders:
    """A primitive that knows where its database is."""

    primitive_id = "orders"

    def __init__(self):
        self.asked = []

    def sql_url(self, env, user, password, *, is_async):
        self.asked.append((user, password, is_async))
        return f"sqlite:///{env.folder}/orders.db"


def test_a_primitive_says_where_it_is(env):
    orders = Orders()
    dep = SessionDepBuilder(orders, "ada", "hush")
    asyncio.run(Replica(dep, env).call())
    assert orders.asked == [("ada", Secret("hush"), False)]
    assert dependency_of(dep).primitive is orders
    asyncio.run(Replica(AsyncSessionDepBuilder(orders), env).call())
    assert orders.asked[1] == (None, None, True)


def test_engines_of_ones_own(tmp_path):
    made_here = engine(f"sqlite:///{tmp_path}/a.db", pool_size=2)
    assert made_here.pool.size() == 2
    url = sqlalchemy.make_url(f"sqlite:///{tmp_path}/a.db")
    assert engine(url).url == made_here.url
    assert engine(Secret(str(url))).url == made_here.url
    assert async_engine(url).url.drivername == "sqlite+aiosqlite"
    with pytest.raises(DeclarationError, match="credentials must be GCPCredentials"):
        engine(url, credentials=object())


class TestDrivers:
    """What an engine is made for, without the drivers of other databases."""

    @pytest.fixture
    def urls(self, monkeypatch):
        found = []
        monkeypatch.setattr(sqlalchemy, "create_engine", lambda url, **_: found.append(url))
        module = sys.modules["sqlalchemy.ext.asyncio"]
        monkeypatch.setattr(module, "create_async_engine", lambda url, **_: found.append(url))
        return found

    @pytest.mark.parametrize(
        ("named", "sync", "awaited"),
        [
            ("postgresql://db/shop", "postgresql", "postgresql+asyncpg"),
            ("postgresql+psycopg://db/shop", "postgresql+psycopg", "postgresql+psycopg"),
            ("sqlite+aiosqlite://", "sqlite+aiosqlite", "sqlite+aiosqlite"),
            ("mysql+aiomysql://db/shop", "mysql+aiomysql", "mysql+aiomysql"),
        ],
    )
    def test_the_one_that_can_be_awaited_is_taken(self, urls, named, sync, awaited):
        engine(named)
        async_engine(named)
        assert [url.drivername for url in urls] == [sync, awaited]

    def test_user_and_password_are_put_into_the_url(self, urls):
        engine("postgresql://db/shop", "ada", Secret("h/ush"))
        engine("postgresql://bob:old@db/shop", db_password="h/ush")  # noqa: S106
        engine("postgresql://bob:old@db/shop")
        assert [(url.username, url.password) for url in urls] == [
            ("ada", "h/ush"),
            ("bob", "h/ush"),
            ("bob", "old"),
        ]

    def test_sqlites_own_addresses_are_kept(self, urls):
        engine("sqlite:///file:shop.db?uri=true")
        assert urls[0].database == "file:shop.db"


SECRETIVE = [
    ("strange://ada:hunter2@db/shop", {}, "no engine can be made"),
    ("mysql://ada:hunter2@db/shop", {}, "reached by the module"),
    ("postgresql://ada:hunter2@db:port/shop", {}, "the URL of the database is none"),
    ("hunter2", {}, "the URL of the database is none"),
    ("sqlite://ada:hunter2@db/shop", {}, "no engine can be made"),
    ("sqlite://", {"passwort": "hunter2"}, "no engine can be made"),
]


@pytest.mark.parametrize(("url", "words", "said"), SECRETIVE)
@pytest.mark.parametrize("make", [engine, async_engine])
def test_no_error_tells_a_password(make, url, words, said):
    with pytest.raises(DeclarationError, match=said) as caught:
        make(url, **words)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__!r}"


@pytest.mark.parametrize("what", [S3Bucket("photos"), S3Bucket, None, 3])
@pytest.mark.parametrize("build", [SessionDepBuilder, AsyncSessionDepBuilder])
def test_what_is_no_database_is_refused_when_it_is_declared(build, what):
    with pytest.raises(DeclarationError, match="a database is a URL or a primitive"):
        build(what)


@pytest.mark.parametrize("package", ["sqlalchemy", "greenlet"])
def test_a_missing_extra_is_named(package):
    code = f"""
import asyncio, sys
sys.modules[{package!r}] = None
from buildflow_nb.dependencies.sqlalchemy import async_engine
try:
    async_engine("sqlite://")
except Exception as error:
    print(type(error).__name__, error)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "DeclarationError" in told.stdout
    assert "pip install 'buildflow-nb[sql]'" in told.stdout


def test_declaring_loads_nothing():
    code = (
        "import sys\n"
        "from buildflow_nb.dependencies.sqlalchemy import SessionDepBuilder\n"
        "SessionDepBuilder('sqlite://')\n"
        "print(sorted({'sqlalchemy', 'starlette', 'google.auth'} & set(sys.modules)))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("builder", [SessionDepBuilder, AsyncSessionDepBuilder])
def test_a_check_reaches_the_database_and_makes_nothing(builder, tmp_path):
    database = tmp_path / "there.db"

    async def looked(maker):
        before = set(threading.enumerate())
        (found,) = await maker.dependency_fn.check(Env(folder=tmp_path))
        async with asyncio.timeout(PATIENCE_S):
            # aiosqlite's thread says good-bye to the loop, which must be there
            while set(threading.enumerate()) - before:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return found

    def checked(url):
        maker = provider_of(dependency_of(builder(url))).arguments[0].source.dependency
        return asyncio.run(looked(maker))

    assert checked("sqlite:///there.db").said == "is made by its first use"
    assert not database.exists()
    database.touch()
    found = checked("sqlite:///there.db")
    assert (found.health, found.said.startswith("reached at sqlite")) == (Health.OK, True)
    found = checked("sqlite:///file:nowhere.db?mode=ro&uri=true")
    assert found.health is Health.ERROR
    assert "not reached" in found.said
