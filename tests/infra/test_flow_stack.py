"""Where a flow's clients connect, stack by stack."""

from __future__ import annotations

import os
import pickle

import pytest

from buildflow_nb.core.config import CloudProvider, Config, Stack
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import InfraError, RejectedError
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.status.operations import Consent, DeclaredPrimitives, Op, Operation
from buildflow_nb.infra.flow_stack import FlowStack, LocalEndpoints
from buildflow_nb.local_cloud import client
from tests.infra.conftest import ENGINE
from tests.infra.primitives import Broken, Link, Plain, Q

KEYS = FlowOptions(
    aws_access_key_id="AKIAREAL",
    aws_secret_access_key="real",  # noqa: S106  (no key of anybody's)
    gcp_service_account_info="{}",
)


def place(folder, cloud="local", provider=None, options=KEYS):
    stack = Stack("here", cloud=cloud)
    config = Config("shop", folder, {"here": stack}, "here", provider=provider or CloudProvider())
    return FlowStack(config, stack, options)


def test_a_local_stack_has_made_up_keys_and_the_defaults_that_clouds_ask_for(tmp_path):
    env = place(tmp_path).env()
    assert env.aws.access_key_id == Secret("000000000000")
    assert env.gcp.service_account_info is None
    assert (env.stack, env.folder) == ("here", tmp_path)
    assert (env.aws_region, env.gcp_project) == ("us-east-1", "local-project")


def test_a_real_stack_has_the_users_keys_and_no_endpoint(tmp_path, monkeypatch):
    for name in ("GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    env = place(tmp_path, "real").env()
    assert env.aws.access_key_id == Secret("AKIAREAL")
    assert dict(env.endpoints) == {}
    assert (env.aws_region, env.gcp_project) == (None, None)
    monkeypatch.setenv("GCP_PROJECT", "from-the-environment")
    assert place(tmp_path, "real").env().gcp_project == "from-the-environment"


@pytest.mark.parametrize("cloud", ["local", "real"])
def test_the_file_says_region_and_project(tmp_path, cloud):
    provider = CloudProvider(aws_region="eu-west-1", gcp_project="my-project")
    env = place(tmp_path, cloud, provider).env()
    assert (env.aws_region, env.gcp_project) == ("eu-west-1", "my-project")


def test_the_local_cloud_is_started_for_what_is_in_a_cloud_alone(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(client, "start_cloud", started.append)
    place(tmp_path).need([Plain("a.csv"), None])
    assert started == []
    place(tmp_path).need([Plain("a.csv"), Link("queue")])
    assert started == [tmp_path]
    place(tmp_path, "real").need([Link("queue")])
    assert started == [tmp_path]


def test_endpoints_are_looked_up_when_they_are_needed(tmp_path, monkeypatch):
    class Record:
        endpoints = {"sqs": "http://127.0.0.1:1"}  # noqa: RUF012

    asked = []
    monkeypatch.setattr(client, "start_cloud", lambda f: asked.append(f) or Record())
    endpoints = place(tmp_path).env().endpoints
    assert asked == []
    assert endpoints.get("sqs") == "http://127.0.0.1:1"
    assert endpoints.get("pubsub") is None
    assert (list(endpoints), len(endpoints)) == (["sqs"], 1)
    assert repr(endpoints) == f"LocalEndpoints({str(tmp_path)!r})"
    again = pickle.loads(pickle.dumps(endpoints))  # noqa: S301
    assert isinstance(again, LocalEndpoints)
    assert again["sqs"] == "http://127.0.0.1:1"


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(tmp_path, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    place(tmp_path).env()
    assert "NO_PROXY" not in os.environ
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    place(tmp_path, "real").env()
    assert os.environ["NO_PROXY"] == "intranet.example"
    for _ in range(2):
        place(tmp_path).env()
        assert os.environ["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"
        assert os.environ["no_proxy"] == "127.0.0.1,localhost"


class TestChange:
    pytestmark = ENGINE

    @pytest.fixture
    def shop(self, cloud_folder, cloud, tmp_path):
        """A place of its own project on the shared cloud."""
        stack = Stack("here", f"file://{tmp_path}", "local")
        config = Config("change", cloud_folder, {"here": stack}, "here")
        made = FlowStack(config, stack, FlowOptions())
        yield made
        made.operate(Operation.DESTROY, DeclaredPrimitives(()))

    def test_it_asks_about_the_plan_and_goes_on_after_a_yes(self, shop, queues):
        asked = []
        done = shop.change(
            Operation.APPLY,
            DeclaredPrimitives((Q("asked"),)),
            Consent(lambda p: asked.append(p) or True),
        )
        assert [dict(plan.summary.changes) for plan in asked] == [{Op.CREATE: 1}]
        assert done.summary.changes == {Op.CREATE: 1}
        assert queues("asked") == ["asked"]

    def test_a_no_changes_nothing_and_is_an_error_of_its_own(self, shop, queues):
        with pytest.raises(RejectedError, match="apply rejected; nothing was changed"):
            shop.change(
                Operation.APPLY, DeclaredPrimitives((Q("refused"),)), Consent(lambda _: False)
            )
        assert queues("refused") == []

    def test_where_nothing_is_to_be_done_nobody_is_asked(self, shop):
        assert shop.change(
            Operation.APPLY, DeclaredPrimitives(()), Consent(lambda _: pytest.fail("asked"))
        ).nothing_to_do

    def test_the_plan_of_a_destroy_is_what_goes(self, shop, queues):
        shop.change(Operation.APPLY, DeclaredPrimitives((Q("goes"),)), Consent(None))
        asked = []
        shop.change(
            Operation.DESTROY,
            DeclaredPrimitives((Q("goes"),)),
            Consent(lambda p: asked.append(p) or True),
        )
        assert [dict(plan.summary.changes) for plan in asked] == [{Op.DELETE: 1}]
        assert queues("goes") == []

    def test_what_fails_is_raised_with_the_engines_text(self, shop):
        with pytest.raises(InfraError, match="apply: no shelf") as caught:
            shop.change(
                Operation.APPLY,
                DeclaredPrimitives((Broken(ValueError("no shelf")),)),
                Consent(None),
            )
        assert "Traceback" in caught.value.text
