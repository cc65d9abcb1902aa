"""Dependencies at work: who gets which, and when each is closed."""

import asyncio
import functools
import threading
from typing import Annotated

import pytest

from buildflow_nb.core.credentials import FlowCredentials
from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.declaring.dependencies import dependency
from buildflow_nb.core.declaring.scope import Scope
from buildflow_nb.core.primitive import Env
from tests.fakes import FakeSink, FakeSource
from tests.runtime.conftest import Bench


def in_loop(test):
    """Run a coroutine as a test."""

    @functools.wraps(test)
    def run(**words):
        asyncio.run(test(**words))

    return run


SCOPES = [Scope.PROCESS, Scope.REPLICA, Scope.GLOBAL, Scope.NO_SCOPE]


class Diary(list):
    """What happened."""

    def manager(self, scope, *, is_async=False):
        """A dependency that notes when it is made and closed."""
        diary = self

        class Sync:
            def __init__(self):
                diary.append("made")

            def __enter__(self):
                return self

            def __exit__(self, kind, error, trace):
                diary.append(f"closed {kind.__name__ if kind else ''}".strip())

        class Async:
            async def __init__(self):
                diary.append("made")

            async def __aenter__(self):
                return self

            async def __aexit__(self, kind, error, trace):
                diary.append(f"closed {kind.__name__ if kind else ''}".strip())

        return dependency(scope)(Async if is_async else Sync)


async def through(code, *elements, sink=None, **options):
    sink = sink or FakeSink()
    bench = Bench(code, FakeSource([list(elements)]), sink, **options)
    await bench.to_end()
    return sink.tape.pushed, bench


@pytest.mark.parametrize("code_is_async", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("scope", SCOPES)
@in_loop
async def test_each_scope_is_made_and_closed_as_often_as_it_says(scope, is_async, code_is_async):
    diary = Diary()
    one = diary.manager(scope, is_async=is_async)

    def sync(element: int, got: one) -> int:
        assert type(got) is one
        return element

    async def coroutine(element: int, got: one) -> int:
        return sync(element, got)

    code = coroutine if code_is_async else sync
    pushed, _ = await through(code, 1, 2, 3)
    assert pushed == [1, 2, 3]
    times = 1 if scope in (Scope.REPLICA, Scope.GLOBAL) else 3
    assert diary == ["made", "closed"] * times


@in_loop
async def test_identity_within_a_call():
    @dependency(Scope.NO_SCOPE)
    class No:
        pass

    @dependency(Scope.GLOBAL)
    class Global:
        def __init__(self, no: No):
            self.no = no

    @dependency(Scope.REPLICA)
    class Replica:
        def __init__(self, global_: Global, no: No):
            self.global_, self.no = global_, no

    @dependency(Scope.PROCESS)
    class Process:
        def __init__(self, replica: Replica, no: No):
            self.replica, self.no = replica, no

    seen = []

    def code(element: int, process: Process, replica: Replica, no: No, again: Process):
        assert process is again
        assert process.replica is replica
        assert len({id(one) for one in (no, process.no, replica.no, replica.global_.no)}) == 4
        seen.append((process, replica, replica.global_))

    await through(code, 1, 2)
    (first, second) = seen
    assert first[0] is not second[0]
    assert first[1:] == second[1:]


@in_loop
async def test_each_replica_has_its_own_and_all_share_the_global_one():
    made = []

    @dependency(Scope.GLOBAL)
    class Global:
        def __init__(self):
            made.append("global")

    @dependency(Scope.REPLICA)
    class Replica:
        def __init__(self, shared: Global):
            made.append("replica")

    Replica.__init__.__annotations__["shared"] = Global

    def code(element: int, one: Replica) -> int:
        return element

    code.__annotations__["one"] = Replica
    await through(code, 1, 2, 3, num_replicas=3)
    assert made.count("global") == 1
    assert made.count("replica") == 3


@in_loop
async def test_they_are_closed_in_reverse_order():
    diary = []

    @dependency(Scope.REPLICA)
    def engine():
        diary.append("engine")
        yield "engine"
        diary.append("no engine")

    @dependency(Scope.PROCESS)
    def session(made: Annotated[str, engine]):
        diary.append(f"session of {made}")
        yield "session"
        diary.append("no session")

    @dependency(Scope.PROCESS)
    async def transaction(of: Annotated[str, session]):
        diary.append(f"transaction of {of}")
        yield "transaction"
        diary.append("no transaction")

    def code(element: int, t: Annotated[str, transaction]):
        diary.append(f"{element} in {t}")

    await through(code, 7)
    assert diary == [
        "engine",
        "session of engine",
        "transaction of session",
        "7 in transaction",
        "no transaction",
        "no session",
        "no engine",
    ]


@pytest.mark.parametrize("is_async", [False, True])
@in_loop
async def test_an_element_that_fails_closes_them_with_its_error(is_async):
    diary = Diary()
    one = diary.manager(Scope.PROCESS, is_async=is_async)

    def code(element: int, got: one) -> int:
        raise KeyError(element)

    _, bench = await through(code, 1, retries=0)
    assert diary == ["made", "closed KeyError"]
    (failure,) = bench.ledger.failures
    assert isinstance(failure.exception, KeyError)


@in_loop
async def test_a_dependency_that_swallows_the_error_does_not_make_it_pass():
    @dependency(Scope.PROCESS)
    class Calm:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return True

    def code(element: int, calm: Calm) -> int:
        raise KeyError(element)

    code.__annotations__["calm"] = Calm
    pushed, bench = await through(code, 1, retries=0)
    assert not pushed
    assert len(bench.ledger.failures) == 1


@pytest.mark.parametrize("scope", [Scope.PROCESS, Scope.NO_SCOPE])
@in_loop
async def test_an_element_whose_dependency_cannot_be_closed_has_failed(scope):
    @dependency(scope)
    def commit():
        yield
        msg = "the commit failed"
        raise OSError(msg)

    def code(element: int, c: Annotated[None, commit]) -> int:
        return element

    pushed, bench = await through(code, 1, retries=0)
    assert not pushed
    (failure,) = bench.ledger.failures
    assert "the commit failed" in failure.error


@in_loop
async def test_an_element_whose_dependency_cannot_be_made_has_failed_alone():
    tries = iter([OSError("no"), None])

    @dependency(Scope.PROCESS)
    def session():
        error = next(tries)
        if error:
            raise error
        return "here"

    def code(element: int, s: Annotated[str, session]) -> str:
        return s

    pushed, bench = await through(code, 1, 2, retries=0)
    assert pushed == ["here"]
    assert len(bench.ledger.failures) == 1


@pytest.mark.parametrize("scope", [Scope.REPLICA, Scope.GLOBAL])
@in_loop
async def test_a_lasting_dependency_that_cannot_be_made_fails_the_start_and_leaves_nothing(scope):
    diary = Diary()
    first = diary.manager(scope)

    @dependency(scope)
    def broken(one: first):
        msg = "no database"
        raise OSError(msg)

    broken.__annotations__["one"] = first

    def code(element: int, b: Annotated[None, broken]) -> int:
        return element

    bench = Bench(code, FakeSource([[1]]), FakeSink())
    with pytest.raises(OSError, match="no database"):
        await bench.consumer.start()
    assert diary == ["made", "closed"]


@in_loop
async def test_generators_are_run_while_their_dependencies_are_open():
    diary = Diary()
    one = diary.manager(Scope.PROCESS)

    def code(element: int, got: one):
        for i in range(element):
            assert diary[-1] == "made"
            yield i

    pushed, _ = await through(code, 2, 1)
    assert pushed == [0, 1, 0]


@in_loop
async def test_async_generators_too():
    diary = Diary()
    one = diary.manager(Scope.PROCESS, is_async=True)

    async def code(element: int, got: one):
        for i in range(element):
            assert diary[-1] == "made"
            yield i

    pushed, _ = await through(code, 2, 1)
    assert pushed == [0, 1, 0]


@pytest.mark.parametrize("scope", [Scope.PROCESS, Scope.REPLICA])
@in_loop
async def test_the_element_may_stand_anywhere_among_them(scope):
    one = Diary().manager(scope)

    def code(got: one, element: int, *, more: one) -> int:
        assert isinstance(got, one)
        assert isinstance(more, one)
        return element

    pushed, _ = await through(code, 1, 2)
    assert pushed == [1, 2]


@pytest.mark.parametrize("scope", [Scope.PROCESS, Scope.REPLICA])
@in_loop
async def test_a_class_has_them_in_process(scope):
    one = Diary().manager(scope)

    class Code:
        def setup(self):
            self.seen = []

        def process(self, element: int, got: one) -> int:
            assert isinstance(got, one)
            return element

    pushed, _ = await through(Code, 1, 2)
    assert pushed == [1, 2]


@in_loop
async def test_a_decorated_function_has_them():
    one = Diary().manager(Scope.REPLICA)

    def twice(function):
        @functools.wraps(function)
        def wrapped(*args, **words):
            return function(*args, **words) * 2

        return wrapped

    def code(element: int, got: one) -> int:
        assert isinstance(got, one)
        return element

    pushed, _ = await through(twice(code), 1, 2)
    assert pushed == [2, 4]


@in_loop
async def test_sync_ones_are_made_in_the_thread_of_sync_code():
    names = []

    @dependency(Scope.REPLICA)
    class One:
        def __init__(self):
            names.append(threading.current_thread().name)

        def close(self):
            names.append(threading.current_thread().name)

    def code(element: int, one: One) -> int:
        names.append(threading.current_thread().name)
        return element

    await through(code, 1)
    assert set(names) == {"code-0.0"}


@in_loop
async def test_the_flow_gives_credentials_and_where_to_connect():
    @dependency(Scope.REPLICA)
    class Client:
        def __init__(self, credentials: FlowCredentials, env: Env):
            assert credentials.aws_credentials is env.aws
            self.env = env

    def code(element: int, client: Client, credentials: FlowCredentials) -> str:
        assert credentials.gcp_credentials is client.env.gcp
        return client.env.stack

    code.__annotations__["client"] = Client
    pushed, _ = await through(code, 1)
    assert pushed == ["local"]


@in_loop
async def test_a_swap_keeps_what_did_not_change_and_makes_the_rest_anew():
    kept, changed, fresh = Diary(), Diary(), Diary()
    stays = kept.manager(Scope.REPLICA)
    goes = changed.manager(Scope.REPLICA)
    comes = fresh.manager(Scope.REPLICA)

    def code(element: int, a: stays, b: goes) -> int:
        return element

    source = FakeSource([[1]], endless=True)
    sink = FakeSink()
    bench = Bench(code, source, sink)
    await bench.consumer.start()
    await bench.until(lambda: sink.tape.pushed == [1])

    def code(element: int, a: stays, b: comes) -> int:
        return -element

    assert await bench.consumer.swap(consumer_spec(code, source, sink, {}))
    assert (kept, changed, fresh) == (["made"], ["made", "closed"], ["made"])
    await bench.stop()
    assert (kept, fresh) == (["made", "closed"], ["made", "closed"])


@in_loop
async def test_a_swap_that_fails_leaves_the_old_one_with_what_it_has():
    kept = Diary()
    stays = kept.manager(Scope.REPLICA)

    @dependency(Scope.REPLICA)
    def broken():
        raise OSError

    def code(element: int, a: stays) -> int:
        return element

    source, sink = FakeSource([[1]], endless=True), FakeSink()
    bench = Bench(code, source, sink)
    await bench.consumer.start()
    await bench.until(lambda: sink.tape.pushed == [1])

    def code(element: int, a: stays, b: Annotated[None, broken]) -> int:
        return element

    with pytest.raises(OSError):  # noqa: PT011
        await bench.consumer.swap(consumer_spec(code, source, sink, {}))
    assert kept == ["made"]
    await bench.stop()
    assert kept == ["made", "closed"]


@in_loop
async def test_nothing_is_wrapped_around_code_without_them():
    def code(element: int) -> int:
        return element

    bench = Bench(code, FakeSource([[1]]), FakeSink())
    await bench.consumer.start()
    assert next(iter(bench.consumer._pool)).code.call is code
    await bench.stop()


@in_loop
async def test_what_lasts_is_a_default_of_the_function_itself():
    one = Diary().manager(Scope.REPLICA)

    def code(element: int, got: one) -> int:
        return element

    bench = Bench(code, FakeSource([[1]]), FakeSink())
    await bench.consumer.start()
    call = next(iter(bench.consumer._pool)).code.call
    assert call.__code__ is code.__code__
    assert isinstance(call.__defaults__[0], one)
    assert code.__defaults__ is None
    await bench.stop()
