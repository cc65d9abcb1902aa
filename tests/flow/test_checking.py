"""What a flow finds when it is looked at before it runs."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from buildflow_nb import Flow, FlowOptions
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.findings import Columns, Finding, Health
from buildflow_nb.core.primitive import Wire
from buildflow_nb.flow import checkup
from buildflow_nb.local_cloud.record import CloudRecord, local_folder
from tests.fakes import FakeSink, FakeSource

SECRETS = ("AKIAEXAMPLE", "hush", "-----BEGIN")


@dataclass(eq=False)
class Source(FakeSource):
    """A source that says what it is told to say."""

    found: list[Finding] = field(default_factory=list)
    names: tuple[str, ...] = ()
    asked: list[threading.Thread] = field(default_factory=list)
    error: Exception | None = None
    hangs: bool = False

    async def check(self, env):
        self.asked.append(threading.current_thread())
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()
        return self.found or [Finding("Source it", Health.OK, "is there")]

    async def columns(self, env):
        return Columns(self.names) if self.names else None


@dataclass(eq=False)
class Sink(FakeSink):
    """A sink with columns."""

    names: tuple[str, ...] = ()
    exact: bool = False

    async def check(self, env):
        return [Finding("Sink it", Health.OK, "can be written", role="sink")]

    async def columns(self, env):
        return Columns(self.names, exact=self.exact) if self.names else None


@dataclass(eq=False)
class InACloud(Source):
    cloud: ClassVar[str] = "aws"

    def owned(self):
        return ()

    def parents(self):
        return ()

    def resources(self, site):
        return {}


@dataclass
class Order:
    id: int
    qty: int = 1


def declare(app, source, sink=None, hint=Order, **words):
    def price(order: hint) -> hint:
        return order

    app.consumer(source, sink, **words)(price)


def about(findings, subject) -> Finding:
    (found,) = [one for one in findings if one.subject == subject]
    return found


class TestConnections:
    def test_each_use_has_a_line_and_is_asked_on_the_loop_thread_once(self, app):
        source = Source([])
        declare(app, source, Sink(), dead_letter=Sink(primitive_id="dead"))

        @app.consumer(source)
        def again(order: Order) -> None: ...

        found = app.check()
        assert about(found, "price source: Source it").health is Health.OK
        assert about(found, "again source: Source it").health is Health.OK
        assert about(found, "price sink: Sink it").said == "can be written"
        assert about(found, "price dead letter: Sink it").said == "can be written"
        assert [thread.name for thread in source.asked] == ["buildflow-loop"]

    def test_it_opens_and_pulls_nothing(self, app):
        source, sink = Source([[1]]), Sink()
        declare(app, source, sink)
        app.check()
        assert (source.tape.opened, source.tape.pulled, sink.tape.opened) == (0, 0, 0)

    def test_some_processors_alone(self, app):
        declare(app, Source([]))

        @app.consumer(Source([], primitive_id="other"))
        def other(order: Order) -> None: ...

        subjects = [one.subject for one in app.check(["other"])]
        assert "other source: Source it" in subjects
        assert not any(subject.startswith("price") for subject in subjects)
        with pytest.raises(UsageError, match=r"no processor 'othr'.*other"):
            app.check(["othr"])

    def test_a_primitive_without_a_check_is_told_honestly(self, app):
        declare(app, FakeSource([]))
        found = about(app.check(), "price source: FakeSource fake source")
        assert (found.health, found.said) == (Health.WARNING, "cannot be checked")
        assert "async def check" in found.cure

    def test_a_check_that_raises_is_a_finding(self, app):
        declare(app, Source([], error=KeyError("x")))
        found = about(app.check(), "price source: Source fake source")
        assert (found.health, found.said) == (Health.ERROR, "its check failed: KeyError: 'x'")

    def test_a_check_that_hangs_is_given_up_beside_others_that_answer(self, app):
        declare(app, Source([], hangs=True), Sink())
        began = time.monotonic()
        found = app.check(timeout=0.1)
        assert time.monotonic() - began < 5
        assert about(found, "price source: Source fake source").said == "no answer within 0.1 s"
        assert about(found, "price sink: Sink it").health is Health.OK

    def test_a_check_that_blocks_the_loop_is_given_up(self, app, monkeypatch):
        monkeypatch.setattr(checkup, "GRACE_S", 0.05)
        release = threading.Event()

        class Blocking(Source):
            async def check(self, env):
                release.wait(20)
                return []

        declare(app, Blocking([]))
        try:
            found = about(app.check(timeout=0.05), "connections")
        finally:
            release.set()
        assert found.health is Health.WARNING  # it may be a slow machine
        assert "not looked at: no answer within 0.05 s" in found.said

    def test_a_source_that_the_flow_makes_is_no_error(self, app):
        missing = Finding("Source it", Health.ERROR, "does not exist (yet)", "make it", "source")

        class Both(Source):
            sink_wire, max_push, linger_s, sink = Wire.OBJECT, 1, 0.0, FakeSink.sink

        both = Both([], found=[missing], primitive_id="both")
        declare(app, both)
        assert about(app.check(), "price source: Source it").health is Health.ERROR

        @app.consumer(Source([]), both)
        def makes(order: Order) -> Order:
            return order

        found = about(app.check(), "price source: Source it")
        assert (found.health, found.cure) == (Health.WARNING, "the flow makes it when it runs")

    def test_a_query_of_a_store_that_the_flow_writes_to_is_no_error(self, app, monkeypatch):
        record = CloudRecord(None, {}, {}, awake=("shelf",))
        monkeypatch.setattr(checkup, "find_cloud", lambda _: record)
        missing = Finding("Source it", Health.ERROR, "does not exist (yet)", "make it", "source")

        class Query(Source):
            local_store = "shelf"

        class Table(FakeSink):
            local_store = "shelf"

        declare(app, Query([], found=[missing]))
        assert about(app.check(), "price source: Source it").health is Health.ERROR

        @app.consumer(Source([]), Table())
        def makes(order: Order) -> Order:
            return order

        found = about(app.check(), "price source: Source it")
        assert (found.health, found.cure) == (Health.WARNING, "the flow makes it when it runs")

    @pytest.mark.parametrize("runs", [True, False])
    def test_a_store_that_sleeps_is_left_alone(self, app, monkeypatch, runs):
        record = CloudRecord(None, {}, {}, awake=("shelf",)) if runs else None
        monkeypatch.setattr(checkup, "find_cloud", lambda _: record)

        class Stored(Source):
            local_store = "attic"

            async def check(self, env):
                pytest.fail("it was looked at")

            columns = check

        declare(app, Stored([]))
        found = about(app.check(), "price source: Stored fake source")
        assert found.health is Health.WARNING
        said = "attic of the local cloud sleeps" if runs else "the local cloud does not run"
        assert found.said == f"not looked at: {said}"

    def test_apply_is_a_cure_for_what_the_flow_manages_alone(self, app, monkeypatch):
        monkeypatch.setattr(checkup, "find_cloud", lambda _: CloudRecord(None, {}, {}))
        missing = Finding("InACloud it", Health.ERROR, "does not exist", "%buildflow apply")
        source = InACloud([], found=[missing])
        declare(app, source)
        cure = about(app.check(), "price source: InACloud it").cure
        assert cure.startswith("make it, or app.manage(…) it and %buildflow apply")
        app.manage(source)
        assert about(app.check(), "price source: InACloud it").cure == "%buildflow apply"

    def test_before_a_run_the_local_cloud_is_started_if_something_is_in_it(self, app, monkeypatch):
        started = []
        monkeypatch.setattr("buildflow_nb.local_cloud.client.start_cloud", started.append)
        declare(app, Source([]))
        app.check(start=True)
        assert started == []
        declare(app, InACloud([]))
        app.check()
        assert started == []
        app.check(start=True)
        assert started == [app.config.folder]

    def test_the_local_cloud_is_not_started_for_it(self, app, tmp_path):
        source = InACloud([])
        declare(app, source)
        found = about(app.check(), "price source: InACloud fake source")
        assert (found.health, source.asked) == (Health.WARNING, [])
        assert "the local cloud does not run" in found.said
        assert not local_folder(tmp_path).exists()


class TestCredentials:
    @pytest.fixture
    def real(self, app, tmp_path, monkeypatch):
        for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
        stacks = "pulumi_config:\n  stacks:\n  - {name: prod, cloud: real}\n"
        (tmp_path / "buildflow.yaml").write_text(f"app: shop\n{stacks}")

        def make(**words) -> Flow:
            made = Flow(flow_options=FlowOptions(**words))
            declare(made, InACloud([]))
            return made

        return make

    def test_those_of_the_local_cloud(self, app):
        declare(app, InACloud([]))
        assert "made up" in about(app.check(), "credentials of AWS").said

    def test_nothing_in_a_cloud_needs_none(self, app):
        declare(app, Source([]))
        assert not [one for one in app.check() if "credentials" in one.subject]

    def test_where_they_come_from_and_never_what_they_are(self, real, monkeypatch):
        words = {"aws_access_key_id": SECRETS[0], "aws_secret_access_key": SECRETS[1]}
        found = real(**words).check()
        assert about(found, "credentials of AWS").said == "a key, given in FlowOptions"
        assert not any(secret in repr(found) for secret in SECRETS)
        assert about(real().check(), "credentials of AWS").health is Health.WARNING
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", SECRETS[0])
        assert about(real().check(), "credentials of AWS").health is Health.ERROR
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS[1])
        found = real().check()
        assert about(found, "credentials of AWS").said == "a key, from the environment"
        assert not any(secret in repr(found) for secret in SECRETS)


class TestTypes:
    def test_what_is_declared(self, app):
        declare(app, Source([]), Sink())
        assert about(app.check(), "price: types").said == "Order → Order"

    def test_a_field_that_the_source_has_not(self, app):
        declare(app, Source([], names=("qty", "price"), source_wire=Wire.RECORD))
        found = about(app.check(), "price: types")
        assert found.health is Health.ERROR
        assert found.said == "Source fake source has no column id (it has qty, price)"
        assert found.cure == "mend Order, or what is there"

    def test_a_field_with_a_default_may_be_missing(self, app):
        declare(app, Source([], names=("id",), source_wire=Wire.RECORD))
        assert about(app.check(), "price: types").health is Health.OK

    def test_a_field_that_the_sink_has_no_column_for(self, app):
        declare(app, Source([]), Sink(names=("ID", "price")))
        found = about(app.check(), "price: types")
        assert (found.health, "has no column qty" in found.said) == (Health.ERROR, True)

    def test_a_column_that_a_file_has_and_the_elements_lack(self, app):
        names = ("id", "qty", "price")
        declare(app, Source([]), Sink(names=names))
        assert about(app.check(), "price: types").health is Health.OK
        declare(app, Source([]), Sink(names=names, exact=True))
        found = about(app.check(), "price: types")
        assert found.health is Health.ERROR
        assert found.said == "Sink fake sink has column price, which Order lacks"

    def test_elements_without_names_fit_anything(self, app):
        declare(app, Source([]), Sink(names=("id",), exact=True), hint=dict)
        assert about(app.check(), "price: types").health is Health.OK


class TestVersionsAndPort:
    def test_versions(self, app):
        declare(app, Source([]))
        subjects = [one.subject for one in app.check()]
        assert {"Python", "buildflow-nb", "duckdb"} <= set(subjects)
        assert "Pulumi engine" not in subjects
        assert "port 8000" not in subjects

    def test_the_engine_where_something_is_managed(self, app, monkeypatch):
        look = Finding("Pulumi engine", Health.OK, "3")
        monkeypatch.setattr(checkup, "look_at_engine", lambda: look)
        app.manage(InACloud([]))
        assert look in app.check()

    def test_the_port_of_routes_free_and_taken_and_ours(self, app):
        @app.endpoint("/x", method="GET")
        def get(a: int) -> int:
            return a

        assert about(app.check(port=0), "port 0").health is Health.OK
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            found = about(app.check(port=port), f"port {port}")
        assert found.health is Health.ERROR
        assert f"process {os.getpid()}" in found.said
        assert "--port 0" in found.cure
        assert about(app.check(port=port), f"port {port}").health is Health.OK
        app.run(block=False, serve_port=0)
        assert "serves at http://127.0.0.1" in about(app.check(port=port), "port").said

    def test_what_cannot_be_looked_at_is_told(self, app, monkeypatch):
        def fail(*_):
            msg = "no table of processes"
            raise PermissionError(msg)

        monkeypatch.setattr(checkup, "look_at_port", fail)

        @app.endpoint("/x", method="GET")
        def get(a: int) -> int:
            return a

        assert "no table of processes" in about(app.check(), "versions").said
