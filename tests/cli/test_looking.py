"""What needs no engine in a terminal: status, check, doctor, and other stacks."""

from __future__ import annotations

import json

import pytest

from buildflow_nb.cli.main import main
from buildflow_nb.core.findings import Finding, Health

MAIN = """
from buildflow_nb import Flow
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.local import Empty, File, Pulse

app = Flow()
app.manage(SQSQueue("orders"))

@app.consumer(Pulse([1], 1), Empty())
def fine(x: int) -> int:
    return x

@app.consumer(File("missing.csv"), Empty())
def waits(x: dict) -> dict:
    return x
"""
YAML = """
app: shop
pulumi_config:
  stacks:
  - {name: local, cloud: local}
  - {name: prod, cloud: real}
"""


@pytest.fixture
def type_(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "buildflow.yaml").write_text(YAML)

    def typed(*words):
        code = main(list(words))
        return code, *capsys.readouterr()

    return typed


def test_check_exits_with_1_where_something_is_wrong(type_):
    code, out, _ = type_("check")
    assert code == 1
    assert "✕ error    waits source: File missing.csv: file" in out
    assert "→ create it, or mend the path" in out
    assert out.splitlines()[-1].endswith("1 error")
    code, out, _ = type_("check", "fine")
    assert code == 0
    assert "waits" not in out
    code, _, err = type_("check", "fien")
    assert code == 2
    assert "no processor 'fien'" in err


@pytest.mark.parametrize(
    ("health", "code"), [(Health.OK, 0), (Health.WARNING, 0), (Health.ERROR, 1)]
)
def test_doctor_needs_no_flow(type_, tmp_path, monkeypatch, health, code):
    (tmp_path / "main.py").write_text("raise SystemExit\n")
    found = Finding("disk", health, "so so", "`%buildflow cloud stop`")
    monkeypatch.setattr("buildflow_nb.flow.doctor.doctor.examine", lambda folder: [found])
    got, out, _ = type_("doctor")
    assert got == code
    assert "disk: so so\n             → `buildflow cloud stop`" in out


def test_status_tells_of_the_stack(type_):
    code, out, _ = type_("status")
    assert code == 0
    assert out.splitlines()[0] == "stack local on the local cloud: nothing was ever applied"
    assert "declared and not applied: SQSQueue orders; buildflow apply makes it" in out
    assert "stack prod on a real cloud" in type_("status", "--stack", "prod")[1]


@pytest.mark.parametrize("word", ["preview", "apply", "refresh", "destroy", "status"])
def test_a_stack_that_is_not_there(type_, word):
    code, out, err = type_(word, "--stack", "prd")
    assert (code, out) == (2, "")
    assert err == (
        "buildflow: no stack 'prd'; buildflow.yaml has: local, prod; did you mean 'prod'?\n"
    )


def test_the_stack_that_is_named_is_worked_on(type_, monkeypatch):
    worked = []

    def operate(deployment, operation, *_):
        worked.append((operation.value, deployment.stack.name))
        raise KeyboardInterrupt

    monkeypatch.setattr("buildflow_nb.infra.flow_operation.operate", operate)
    for word in ("preview", "refresh"):
        assert type_(word, "--stack", "prod")[0] == 130
    for word in ("apply", "destroy"):
        assert type_(word, "--yes", "--stack", "prod")[0] == 130
    names = [("preview", "prod"), ("refresh", "prod"), ("apply", "prod"), ("destroy", "prod")]
    assert worked == names


@pytest.mark.parametrize(
    ("words", "code", "keys"),
    [
        (["status"], 0, {"stack", "local", "resources", "missing"}),
        (["check"], 1, {"worst", "findings"}),
        (["cloud"], 0, {"running", "endpoints", "users", "said"}),
        (["inspect"], 0, {"flow_id", "processor_group_states"}),
    ],
)
def test_a_program_gets_one_document(type_, tmp_path, words, code, keys):
    (tmp_path / "main.py").write_text(MAIN + "print('imported')\n")
    found, out, err = type_(*words, "--json")
    assert found == code
    assert keys <= set(json.loads(out))
    assert out.count("\n") == 1
    assert err == ("" if words == ["cloud"] else "imported\n")


def test_findings_are_data(type_, monkeypatch):
    finding = Finding("disk", Health.WARNING, "so so", "mend it")
    monkeypatch.setattr("buildflow_nb.flow.doctor.doctor.examine", lambda folder: [finding])
    assert json.loads(type_("doctor", "--json")[1]) == {
        "worst": "warning",
        "findings": [
            {"subject": "disk", "health": "warning", "said": "so so", "cure": "mend it", "role": ""}
        ],
    }


def test_another_flow_by_name(type_, tmp_path):
    (tmp_path / "other.py").write_text(MAIN.replace("app", "mine").replace("orders", "others"))
    assert "SQSQueue others" in type_("status", "--app", "other:mine")[1]
    assert "SQSQueue others" in type_("status", "--app", "other.py")[1]
    code, _, err = type_("status", "--app", "other:app")
    assert code == 2
    assert "app of " in err
    assert "is no Flow; it holds the Flow mine" in err
