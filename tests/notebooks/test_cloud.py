"""The tutorial of the clouds in a real kernel, with real-looking keys lying about."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest

from buildflow_nb.local_cloud.client import stop_cloud
from tests.notebooks.watch import Watch
from tools.notebooks import NOTEBOOKS, execute

pytestmark = [pytest.mark.notebook, pytest.mark.pulumi, pytest.mark.emulator]

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAREALLOOKING00001",
    "AWS_SECRET_ACCESS_KEY": "env-secret/Zr2kqPZVb1wYtqUu0kR8",
    "AWS_SESSION_TOKEN": "env-token-FwoGZXIvYXdzEBYaDHqa0AP",
    "FLOW_KEY": "AKIAREALLOOKING00002",
    "FLOW_SECRET": "flow-secret/8mF3kqPZVb1wYtqUu0kR8",
    "FLOW_TOKEN": "flow-token-IQoJb3JpZ2luX2VjEJr",
    "FLOW_ACCOUNT": json.dumps({"type": "service_account", "private_key": "flow-private-MIIEvQIB"}),
}
ACCOUNT = {"type": "service_account", "private_key": "env-private-MIIEvgIBADANBg"}
SECRETS = [*KEYS.values(), "flow-private-MIIEvQIB", ACCOUNT["private_key"]]
OPTIONS = """
import os
from buildflow_nb import Flow, FlowOptions

app = Flow(flow_options=FlowOptions(
    aws_access_key_id=os.environ["FLOW_KEY"],
    aws_secret_access_key=os.environ["FLOW_SECRET"],
    aws_session_token=os.environ["FLOW_TOKEN"],
    gcp_service_account_info=os.environ["FLOW_ACCOUNT"],
))
print(app.options)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("clouds")
    yield made
    stop_cloud(made)


@pytest.fixture(scope="module")
def watch(tmp_path_factory) -> Watch:
    return Watch(tmp_path_factory.mktemp("watch"))


@pytest.fixture(scope="module")
def executed(folder, watch, tmp_path_factory) -> nbformat.NotebookNode:
    """The notebook with a cell of options put in, run while connections are watched."""
    account = tmp_path_factory.mktemp("keys") / "account.json"
    account.write_text(json.dumps(ACCOUNT))
    told = nbformat.read(NOTEBOOKS / "cloud.ipynb", as_version=4)
    told.cells.insert(2, nbformat.v4.new_code_cell(OPTIONS, id="options"))
    path = tmp_path_factory.mktemp("told") / "cloud.ipynb"
    nbformat.write(told, path)
    with pytest.MonkeyPatch.context() as patch, watch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
        patch.setenv("PYTHONPATH", watch.python_path)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            patch.setenv(name, "http://192.0.2.1:3128")  # an address that nobody has (RFC 5737)
        return execute(path, folder)


@pytest.fixture(scope="module")
def text(executed) -> dict[str, str]:
    """What each cell shows, as plain text, by the cell's id."""
    return {
        cell.id: "\n".join(
            str(output.get("text") or output.get("data", {}).get("text/plain", ""))
            for output in cell.outputs
        )
        for cell in executed.cells
        if cell.cell_type == "code"
    }


def test_processors_wait_for_what_is_not_there_yet(text):
    assert "to_s3 waiting: queue 'flights' does not exist in stack 'local'" in text["waiting"]
    assert "to_gcs waiting: subscription 'arrivals' does not exist" in text["waiting"]


def test_everything_is_planned_and_made(text):
    planned = re.search(r"(\d+) to create", text["preview"])
    made = re.search(r"(\d+) created", text["apply"])
    assert planned[1] == made[1]
    for primitive in ("SQSQueue flights", "S3Bucket s3://arrivals-s3", "S3FileChangeStream"):
        assert re.search(rf"^\+ {re.escape(primitive)}", text["preview"], re.MULTILINE), primitive
    for primitive in ("GCPPubSubTopic", "GCPPubSubSubscription", "GCSBucket gcs://arrivals-gcs"):
        assert re.search(rf"^\+ {re.escape(primitive)}", text["preview"], re.MULTILINE), primitive


def test_the_vendors_clients_see_it(text):
    found = eval(text["clients"])  # noqa: S307  (the repr of a dict of lists, of our own notebook)
    assert found == {
        "queues": ["arrivals-s3_queue", "flights"],
        "buckets": ["arrivals-s3", "arrivals-gcs"],
        "subscriptions": ["arrivals", "arrivals-gcs_subscription"],
    }


def test_both_ways_give_the_sums_of_the_file(text):
    arrived = re.search(r"([\d,]+) of them arrived", text["data"])[1].replace(",", "")
    found = eval(text["result"])  # noqa: S307
    assert found["aws"] == found["gcp"]
    assert found["aws"][0] == int(arrived)


def test_objects_are_there(text):
    assert re.search(
        r"\d+ objects in S3, the first: 2013/part-\S+\.parquet \d+ bytes", text["objects"]
    )
    assert "objects in Cloud Storage, the first: 2013/part-" in text["objects"]


def test_a_change_is_shown_property_by_property(text):
    assert "1 to update" in text["change"]
    assert "ackDeadlineSeconds: 600 → 60" in text["change"]
    assert text["change-apply"].splitlines()[-1] == "60"


def test_drift_is_found_and_mended(text):
    assert "1 to create" in text["drift"]
    assert "+ SQSQueue flights" in text["drift"]
    assert "1 created" in text["mend"]


def test_destroy_removes_all(text):
    planned = re.search(r"(\d+) to create", text["preview"])[1]
    assert f"{planned} deleted" in text["destroy"]
    gone = eval(text["gone"])  # noqa: S307
    assert gone == {"queues": [], "buckets": [], "subscriptions": []}


def test_no_cell_leaves_a_warning_behind(executed):
    noisy = [
        output.text
        for cell in executed.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]
    assert noisy == []


def test_no_key_is_in_any_file_state_log_or_output(executed, folder):
    assert "aws_secret_access_key=****" in str(executed)
    found = [
        s for s in SECRETS if s in json.dumps(executed) or json.dumps(s)[1:-1] in str(executed)
    ]
    assert found == []
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    holding = [
        (path.name, secret)
        for path in files
        for secret in SECRETS
        if secret.encode() in path.read_bytes()
    ]
    assert holding == []


def test_no_request_leaves_the_machine(executed, watch):
    assert watch.connections >= 1
    assert {"127.0.0.1"} <= watch.asked
    assert watch.outside == set()
