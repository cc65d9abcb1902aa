"""A stack as its state says, without an engine."""

from __future__ import annotations

import json
import time

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.config import Config, Stack
from buildflow_nb.core.errors import ConfigError
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.status.operations import DeclaredPrimitives, Operation
from buildflow_nb.core.status.stack_view import StackView
from buildflow_nb.infra.flow_stack import FlowStack
from buildflow_nb.local_cloud import client
from tests.infra.conftest import ENGINE
from tests.infra.primitives import Link, Plain, Q

YAML = """
app: shop
pulumi_config:
  stacks:
  - {name: local, cloud: local}
  - {name: prod, cloud: real}
  - {name: team, cloud: real, backend_url: "s3://bucket-with-state/x"}
"""
URN = "urn:pulumi:local::shop::"


class Page(Q):
    def cloud_console_url(self) -> str:
        return f"https://console.example/{self.name}"


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(client, "start_cloud", lambda _: pytest.fail("started"))
    (tmp_path / "buildflow.yaml").write_text(YAML)
    return Flow()


def written(folder, stack, latest):
    path = folder / f".buildflow/pulumi/state/{stack}/.pulumi/stacks/shop/{stack}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))
    return path


def holding(*names, kind="Page"):
    """The state after an apply of queues of these names."""
    own = [{"urn": f"{URN}pulumi:pulumi:Stack::shop-local", "type": "pulumi:pulumi:Stack"}]
    for name in names:
        above = f"{URN}buildflow:{kind}::{name}"
        own.append({"urn": above, "type": f"buildflow:{kind}"})
        own.append(
            {
                "urn": f"{URN}buildflow:{kind}$aws:sqs/queue:Queue::{name}",
                "type": "aws:sqs/queue:Queue",
                "parent": above,
                "id": f"https://sqs/{name}",
            }
        )
    return {"manifest": {"time": "2026-01-02T03:04:05.123456789Z"}, "resources": own}


class TestView:
    def test_nothing_was_ever_applied(self, app, tmp_path):
        app.manage(Q("orders"), Plain("a.csv"))
        before = sorted(tmp_path.rglob("*"))
        assert app.stack_view() == StackView("local", True, missing=("Q orders",))
        assert sorted(tmp_path.rglob("*")) == before

    def test_what_it_holds_and_what_is_declared(self, app, tmp_path):
        written(tmp_path, "local", holding("orders", "old"))
        app.manage(Page("orders"), Page("new"))
        view = app.stack_view()
        assert view.changed_at == pytest.approx(1767323045.12, abs=0.1)
        assert [(r.type, r.name, r.owner, r.id) for r in view.resources] == [
            ("aws:sqs/queue:Queue", "old", "Page old", "https://sqs/old"),
            ("aws:sqs/queue:Queue", "orders", "Page orders", "https://sqs/orders"),
        ]
        assert (view.missing, view.undeclared) == (("Page new",), ("Page old",))
        assert not view.as_declared
        assert [r.url for r in view.resources] == ["", ""]

    def test_just_what_is_declared(self, app, tmp_path):
        written(tmp_path, "local", holding("orders"))
        app.manage(Page("orders"))
        assert app.stack_view().as_declared

    def test_what_a_primitive_owns_is_declared_with_it(self, app, tmp_path):
        written(tmp_path, "local", holding("inner", kind="Q"))
        app.manage(Link("outer", owns=(Q("inner"),)))
        view = app.stack_view()
        assert (view.missing, view.undeclared) == (("Link outer",), ())

    def test_pages_of_a_console_on_a_real_cloud(self, app, tmp_path):
        written(tmp_path, "prod", holding("orders", "old"))
        app.manage(Page("orders"))
        view = app.on("prod").stack_view()
        assert [r.url for r in view.resources] == ["", "https://console.example/orders"]
        assert (view.stack, view.local) == ("prod", False)

    def test_an_operation_that_was_cut_off(self, app, tmp_path):
        urn = f"{URN}buildflow:Q$aws:sqs/queue:Queue::orders"
        pending = [{"resource": {"urn": urn}, "type": "creating"}]
        written(tmp_path, "local", {"pending_operations": pending})
        view = app.stack_view()
        assert view.pending == ("orders",)
        assert not view.as_declared

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"checkpoint": 1}'])
    def test_a_damaged_state_is_told(self, app, tmp_path, text):
        written(tmp_path, "local", {}).write_text(text)
        view = app.stack_view()
        assert "is damaged" in view.unknown
        assert not view.as_declared

    def test_a_state_elsewhere_is_the_engines_to_read(self, app):
        view = app.on("team").stack_view()
        assert "kept at s3://…" in view.unknown
        assert "%buildflow preview" in view.unknown

    def test_primitives_that_are_parents_of_each_other(self, app):
        first = Link("first", lambda: (second,))
        second = Link("second", lambda: (first,))
        app.manage(first, second)
        assert "parents of each other" in app.stack_view().unknown


class TestOn:
    def test_the_same_declarations_on_another_stack(self, app):
        app.manage(Q("orders"))
        other = app.on("prod")
        assert (other.stack, other.place.stack.name, other.place.local) == ("prod", "prod", False)
        assert other.registry is app.registry
        assert (app.stack, app.place.stack.name) == ("local", "local")
        assert app.on(None) is app
        assert app.on("local") is app

    def test_options_go_with_it(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "buildflow.yaml").write_text(YAML)
        keys = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "hush"}
        app = Flow(flow_options=FlowOptions(require_confirmation=False, **keys))
        other = app.on("prod")
        assert other.options.require_confirmation is False
        assert other.place.env().aws.access_key_id.reveal() == "AKIA"

    def test_a_stack_that_is_not_there_names_the_nearest(self, app):
        with pytest.raises(ConfigError, match=r"no stack 'prd'.*did you mean 'prod'"):
            app.on("prd")


class TestAfterTheEngine:
    pytestmark = ENGINE

    def test_what_was_applied_is_seen_at_once(self, cloud_folder, cloud, tmp_path):
        stack = Stack("here", f"file://{tmp_path}", "local")
        config = Config("views", cloud_folder, {"here": stack}, "here")
        shop = FlowStack(config, stack, FlowOptions())
        managed = (Q("seen"),)
        shop.operate(Operation.APPLY, DeclaredPrimitives(managed))
        view = shop.view(managed)
        assert view.as_declared
        (queue,) = view.resources
        assert (queue.type, queue.name, queue.owner) == ("aws:sqs/queue:Queue", "seen", "Q seen")
        assert queue.id.endswith("/seen")
        assert abs(view.changed_at - time.time()) < 60
        assert shop.view(()).undeclared == ("Q seen",)
        shop.operate(Operation.DESTROY, DeclaredPrimitives(managed))
        gone = shop.view(managed)
        assert (gone.resources, gone.missing) == ((), ("Q seen",))
