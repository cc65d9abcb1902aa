"""What is refused when it is declared, and how the message helps."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest

from buildflow_nb import Flow, FlowOptions, Service, collector, consumer, endpoint
from buildflow_nb.core.conversion.annotations import element_of
from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials, Secret
from buildflow_nb.core.declaring.declare import join_route
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.errors import BuildFlowError, ConfigError, DeclarationError, UsageError
from buildflow_nb.core.primitive import Wire
from tests.fakes import FakeSink, FakeSource


@dataclass
class Order:
    id: int


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Flow()


def test_every_form_of_declaring_works(app):
    source, sink = FakeSource([]), FakeSink()

    @app.consumer(source=source, sink=sink)
    def one(x: Order) -> Order:
        return x

    @app.collector("/collect", method="GET", sink=sink)
    async def two(x: int) -> int:
        return x

    service = app.service()

    @service.endpoint("/serve", method="GET")
    def three(x: int = 1) -> int:
        return x

    @consumer(source, sink, num_replicas=2)
    class Four:
        def process(self, x: Order) -> Order:
            return x

    @collector("/five", "post", sink)
    def five(order: Order) -> Order:
        return order

    @endpoint("/six", "GET")
    def six() -> int:
        return 6

    apart = Service("/base")
    apart.add_endpoint(six)
    app.add_consumer(Four)
    app.add_collector(five)
    app.add_service(apart)

    @apart.endpoint("/seven/{n}", method="DELETE")
    def seven(n: int) -> int:
        return n

    @app.endpoint("/eight")
    def eight() -> int:
        return 8

    assert list(app.processors) == ["one", "two", "three", "Four", "five", "six", "seven", "eight"]
    assert app.processors["six"].route == "/base/six"
    assert app.processors["seven"].method == "DELETE"
    assert app.processors["Four"].options.num_replicas == 2
    assert (one(1), three(), six(), seven(4)) == (1, 1, 6, 4)
    assert Four().process(1) == 1
    assert five(5) == 5
    assert six.__name__ == "six"


def test_a_service_name_without_a_slash_is_its_id(app):
    service = app.service("my-service")
    assert (service.service_id, service.base_route) == ("my-service", "/")
    assert app.service().service_id == "service /"


@pytest.mark.parametrize(
    ("base", "route", "full"),
    [("/", "/a", "/a"), ("/b", "/", "/b"), ("/b/", "/a/", "/b/a"), ("/", "/", "/")],
)
def test_routes_are_joined(base, route, full):
    assert join_route(base, route) == full


def test_the_same_id_again_replaces(app):
    def declare(value: int) -> None:
        @app.consumer(source=FakeSource([]))
        def same(x: int) -> int:
            return value

    declare(1)
    declare(2)
    assert list(app.processors) == ["same"]
    assert app.processors["same"].processor.target(0) == 2


def _declare(app, line: str) -> None:
    names = {"app": app, "source": FakeSource([]), "sink": FakeSink(), "Order": Order}
    names["text"] = FakeSource([], source_wire=Wire.TEXT)
    names["File"] = FakeSink
    names["row"] = FakeSink(sink_wire=Wire.RECORD)
    exec(line, names)  # noqa: S102  (the test's own lines)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("app.consumer(source=sink)(lambda x: x)", "has no name; define it with def"),
        (
            "@app.consumer(source=sink)\ndef f(x): ...",
            "consumer 'f': source=FakeSink cannot be read; it can be a sink",
        ),
        (
            "@app.consumer(source=source, sink=source)\ndef f(x): ...",
            "consumer 'f': sink=FakeSource cannot be written; it can be a source",
        ),
        (
            "@app.consumer(source=source, sink=File)\ndef f(x): ...",
            r"sink=FakeSink \(the class; call it to make one\) cannot be written",
        ),
        (
            "@app.consumer(source=source, retrys=1)\ndef f(x): ...",
            "consumer 'f': unknown option 'retrys'; did you mean 'retries'?",
        ),
        (
            "@app.consumer(source=source, num_cpus=float('inf'))\ndef f(x): ...",
            "num_cpus and num_gpus must be finite numbers",
        ),
        (
            "@app.consumer(source=source, num_gpus=1.5)\ndef f(x): ...",
            "num_gpus above 1 must be whole, got 1.5",
        ),
        (
            "@app.consumer(source=source, num_cpus=0.00001)\ndef f(x): ...",
            "num_cpus and num_gpus are 0, or at least 0.0001",
        ),
        (
            "@app.consumer(source=source, memory=10**18)\ndef f(x): ...",
            "memory is in bytes, and at most",
        ),
        (
            "@app.consumer(source=source, num_replicas=0)\ndef f(x): ...",
            "num_replicas must be at least 1, got 0",
        ),
        (
            "@app.consumer(source=source, retries='two')\ndef f(x): ...",
            "consumer 'f': retries must be int, got 'two'",
        ),
        (
            "@app.consumer(source=source, log_level='LOUD')\ndef f(x): ...",
            "log_level must be one of DEBUG, INFO",
        ),
        ("@app.consumer(source=source)\ndef f(): ...", "'f' takes no parameter; it needs one"),
        ("@app.consumer(source=source)\ndef f(*a): ...", r"'f' takes only \*a; it needs one"),
        (
            "@app.consumer(source=source)\ndef f(*a, **w): ...",
            r"'f' takes only \*a, \*\*w; it needs one parameter, for the element",
        ),
        (
            "@app.consumer(source=source)\nclass f:\n    def process(self, **w): ...",
            r"'f' takes only \*\*w; it needs one",
        ),
        (
            "@app.consumer(source=source)\ndef f(x, y): ...",
            "takes 'x', 'y'; a consumer is called with one element",
        ),
        (
            "@app.consumer(source=text)\ndef f(x: object.__class__): ...",
            "consumer 'f', parameter 'x': type cannot be made from text",
        ),
        (
            "@app.consumer(source=source)\ndef f(x: 'Nothing'): ...",
            "processor 'f': annotation names 'Nothing', which is not defined",
        ),
        (
            "@app.consumer(source=source)\nclass f:\n  def run(self): ...",
            r"class 'f' needs a method `process\(self, element\)`",
        ),
        (
            "@app.consumer(source=source)\nclass f:\n"
            "  def __init__(self, n): ...\n  def process(self, x): ...",
            "its __init__ needs 'n'; give it a default",
        ),
        (
            "@app.consumer(source=source, dead_letter=3)\ndef f(x): ...",
            "dead_letter=int cannot be written",
        ),
        ("@app.collector('collect')\ndef f(x): ...", "route must be a path that starts with '/'"),
        ("@app.collector('/c', method='FETCH')\ndef f(x): ...", "method must be one of GET, POST"),
        (
            "@app.endpoint('/c/{idd}')\ndef f(id): ...",
            "names 'idd', which is no parameter of it; did you mean 'id'?",
        ),
        ("app.add_consumer(3)", r"add_consumer takes what @consumer\(...\) gives, got int"),
        ("app.manage(3)", r"manage takes primitives \(a queue, a bucket\), got 3"),
        ("app.remove('nope')", r"no processor 'nope' \(there is: none is declared\)"),
        ("app.run()", "has no processor"),
        ("app.run(serve_port=99999)", "serve_port must be from 0"),
        ("app.send('nope', 1)", "no processor 'nope'"),
    ],
)
def test_wrong_declarations_are_refused_in_one_line(app, line, message):
    with pytest.raises(BuildFlowError, match=message) as caught:
        _declare(app, line)
    assert "\n" not in str(caught.value)


def test_documented_spellings_are_accepted(app):
    @app.consumer(source=FakeSource([]), num_concurrent_tasks=3)
    def f(x: int) -> int:
        return x

    assert app.processors["f"].options.num_concurrency == 3
    assert Flow(options=FlowOptions(log_level="DEBUG")).options.runtime_log_level == "DEBUG"


def test_the_signature_shows_the_options(app):
    import inspect

    shown = inspect.signature(app.consumer).parameters
    assert shown["retries"].default == 2
    assert "options" not in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"runtime_log_level": "LOUD"}, "FlowOptions: runtime_log_level must be one of DEBUG"),
        ({"require_confirmation": "no"}, "require_confirmation must be True or False, got 'no'"),
        ({"stack": ""}, "stack must be the name of a stack"),
        ({"aws_access_key_id": "AKIA"}, "aws_access_key_id and aws_secret_access_key go together"),
        ({"aws_session_token": 3}, "aws_session_token must be a str, got int"),
        ({"schema_validation": "perhaps"}, "schema_validation must be one of"),
    ],
)
def test_flow_options_are_checked_by_field(words, message):
    with pytest.raises(ConfigError, match=message):
        FlowOptions(**words)


@pytest.mark.parametrize("kind", [AWSCredentials, GCPCredentials])
def test_plain_texts_in_credentials_are_boxed(kind):
    made = kind("hunter2")
    assert "hunter2" not in repr(made)
    assert made == kind(Secret("hunter2"))


def test_credentials_do_not_print():
    options = FlowOptions(aws_access_key_id="AKIAREAL", aws_secret_access_key="s3cr3t")  # noqa: S106
    shown = f"{options} {options!r} {options.aws} {options.aws_secret_access_key}"
    assert "s3cr3t" not in shown
    assert "AKIAREAL" not in shown
    assert options.aws.secret_access_key == Secret("s3cr3t")
    assert options.aws.secret_access_key.reveal() == "s3cr3t"


def test_a_flow_is_refused_with_wrong_arguments(app):
    with pytest.raises(ConfigError, match="flow_id must be a name"):
        Flow("")
    with pytest.raises(ConfigError, match="flow_options must be FlowOptions"):
        Flow(flow_options={"stack": "x"})
    with pytest.raises(ConfigError, match=r"no stack 'prod'; buildflow\.yaml has: local"):
        Flow(flow_options=FlowOptions(stack="prod"))


def test_a_spec_can_be_sent_to_another_machine(app):
    app.consumer(source=FakeSource([[1]]))(module_level)
    spec = pickle.loads(pickle.dumps(app.spec()))  # noqa: S301  (what the test made itself)
    assert isinstance(spec.processors["module_level"], ConsumerSpec)
    assert spec.flow_id == app.flow_id


def module_level(x: int) -> int:
    return x


def test_elements_of_a_return_type():
    from collections.abc import AsyncIterator, Iterator

    for hint in (Order, Order | None, list[Order], Iterator[Order], AsyncIterator[Order | None]):
        assert element_of(hint) is Order
    assert element_of(None) is None
    assert element_of(list) is None
    assert element_of(dict[str, int]) == dict[str, int]


def test_a_transaction_takes_effect_as_a_whole_or_not_at_all(app):
    def declare(name: str) -> None:
        def f(x: int) -> int:
            return x

        f.__name__ = name
        app.consumer(source=FakeSource([]))(f)

    declare("kept")
    app.registry.hold()
    declare("kept")
    declare("new")
    app.remove("kept")
    app.registry.rollback()
    assert list(app.processors) == ["kept"]
    app.registry.hold()
    declare("kept")
    declare("new")
    changes = app.registry.release()
    assert (changes.added, changes.replaced, changes.removed) == (("new",), ("kept",), ())


def test_unknown_processors_are_named_with_the_nearest(app):
    app.consumer(source=FakeSource([]))(module_level)
    with pytest.raises(
        UsageError, match=r"no processor 'module_lvl'; did you mean 'module_level'\?"
    ):
        app.remove("module_lvl")


def test_declaration_error_is_a_buildflow_error():
    assert issubclass(DeclarationError, BuildFlowError)
