"""`buildflow inspect`: the flow state, as text and as data."""

from __future__ import annotations

import json

import pytest

from buildflow_nb.cli.main import main
from buildflow_nb.cli.output.state_text import state_text

MAIN = """
from buildflow_nb import Flow, Service
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.io.local import Empty, Pulse

app = Flow("shop")
app.manage(SQSQueue("orders"))

@app.consumer(Pulse([1], 1), SQSQueue("orders"))
def price(x: int) -> int:
    return x

@app.collector("/in", "POST", sink=Empty())
def collect(x: int) -> int:
    return x

service = app.service("/api", service_id="api")

@service.endpoint("/hello", method="GET")
def hello() -> str:
    return "hi"

@service.endpoint("/bye", method="GET")
def bye() -> str:
    return "bye"
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "main.py").write_text(MAIN)
    monkeypatch.chdir(tmp_path)


def test_as_text(project, capsys):
    assert main(["inspect"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("flow 'shop' on stack 'local' (local cloud)  (Python 3.")
    assert lines[1:] == [
        "processors:",
        lines[2],
        "  collector collect  /in -> empty",
        "  service api  /api",
        "    endpoint hello  GET /hello",
        "    endpoint bye  GET /bye",
        "primitives:",
        *lines[8:],
    ]
    assert lines[2].startswith("  consumer price  pulse-")
    assert lines[2].endswith(" -> orders")
    assert lines[8].startswith("  SQSQueue  orders  (on aws; managed")


@pytest.mark.parametrize("flag", ["--json", "--as-json"])
def test_as_data(project, capsys, flag):
    assert main(["inspect", flag]) == 0
    out, error = capsys.readouterr()
    assert error == ""
    state = json.loads(out)
    assert set(state) == {
        *("flow_id", "stack", "primitive_states", "processor_group_states"),
        *("python_version", "ray_version", "buildflow_version"),
    }
    kinds = [group["processor_group_type"] for group in state["processor_group_states"]]
    assert kinds == ["consumer", "collector", "service"]
    queue = next(one for one in state["primitive_states"] if one["primitive_id"] == "orders")
    assert queue["managed"] is True
    assert main(["inspect", flag, "--no-as-json"]) == 0
    assert capsys.readouterr().out.startswith("flow 'shop'")


def test_what_a_primitive_is_made_with_and_where_it_is_seen():
    one = {
        "primitive_id": "changes",
        "primitive_name": "S3FileChangeStream",
        "primitive_type": "aws",
        "managed": False,
        "resource_url": "https://console.example/changes",
        "primitive_dependencies": ["bucket", "queue"],
    }
    state = {
        "flow_id": "f",
        "stack": "s",
        "python_version": "3.11",
        "buildflow_version": "0.1.0",
        "primitive_states": [one],
        "processor_group_states": [],
    }
    assert state_text(state).splitlines()[1:] == [
        "no processor yet",
        "primitives:",
        "  S3FileChangeStream  changes  (on aws; not managed; made with bucket, queue; "
        "https://console.example/changes)",
    ]
