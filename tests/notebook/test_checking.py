"""`%buildflow check`, `doctor`, `status` and `--stack`: both twins of each."""

from __future__ import annotations

import json

import pytest

from buildflow_nb.cockpit.views.findings_view import Findings, warn
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.status.snapshot import FlowSnapshot
from buildflow_nb.notebook.verbs import checking as verbs
from tests.notebook.test_snapshot_view import read

FOUND = [
    Finding("Pulse <every>", Health.OK, "is part of this process"),
    Finding("SQSQueue orders", Health.WARNING, "is slow", "wait"),
    Finding("File a.csv", Health.ERROR, "is not there <yet>", "create it, or mend the path"),
]
YAML = """
app: shop
pulumi_config:
  stacks:
  - {name: local, cloud: local}
  - {name: prod, cloud: real}
"""


class TestFindings:
    def test_each_is_told_by_shape_and_word_with_its_cure(self):
        text = repr(Findings(FOUND, "check of shop"))
        assert text.splitlines() == [
            "check of shop · 1 ok, 1 warning, 1 error",
            "✓ ok       Pulse <every>: is part of this process",
            "▲ warning  SQSQueue orders: is slow",
            "             → wait",
            "✕ error    File a.csv: is not there <yet>",
            "             → create it, or mend the path",
        ]

    def test_the_html_says_the_same(self):
        page = read(Findings(FOUND, "check")._repr_html_())
        for finding in FOUND:
            for said in (finding.subject, finding.said, finding.cure, finding.health.value):
                assert said in page.text
        for shape in "✓▲✕":
            assert shape in page.text

    def test_a_warning_shows_what_is_not_well_alone(self, bare):
        bare.names.update(warn=warn, found=FOUND)
        (shown,) = bare("warn(found)").bundles
        assert "SQSQueue orders" in shown["text/plain"]
        assert "Pulse" not in shown["text/plain"]
        assert "Pulse" not in shown["text/html"]
        assert bare("warn(found[:1])").bundles == []

    def test_what_is_hostile_stays_text(self):
        evil = Finding("<script>", Health.ERROR, "\x1b[31m<img src=x>", "<b>")
        html = Findings([evil], "<i>")._repr_html_()
        assert "<script>" not in html
        assert "<img" not in html
        assert "\x1b" not in repr(Findings([evil], "x"))


class TestCheck:
    def test_it_gives_a_list_and_starts_nothing(self, cells):
        cells("@app.consumer(numbers)\ndef fine(x: int): seen.append(x)")
        found = cells("%buildflow check").value
        assert found[0].subject.startswith("fine source: Pulse")
        assert {f.health for f in found} == {Health.OK}
        assert cells.names["seen"] == []

    def test_errors_are_shown_and_do_not_fail_the_cell(self, cells):
        cells("from buildflow_nb.io.local import File")
        cells("@app.consumer(File('missing.csv'))\ndef waits(x: dict): ...")
        ran = cells("%buildflow check waits")
        assert ran.ok
        assert "✕ error    waits source: File missing.csv" in repr(ran.value)
        wrong = cells("%buildflow check wiats")
        assert "no processor 'wiats'; did you mean 'waits'" in str(wrong.error)
        assert "\n" not in str(wrong.error)

    def test_the_doctor_needs_no_flow(self, cells, monkeypatch):
        monkeypatch.setattr(verbs, "examine", lambda folder: FOUND)
        cells("del app")
        assert cells("%buildflow doctor").value == FOUND


class TestStatus:
    def state(self, folder, stack):
        path = folder / f".buildflow/pulumi/state/{stack}/.pulumi/stacks/shop/{stack}.json"
        path.parent.mkdir(parents=True)
        urn = f"urn:pulumi:{stack}::shop::"
        above = f"{urn}buildflow:SQSQueue::orders"
        queue = {
            "urn": f"{urn}buildflow:SQSQueue$aws:sqs/queue:Queue::orders",
            "type": "aws:sqs/queue:Queue",
            "parent": above,
            "id": "https://sqs/1/orders",
        }
        resources = [{"urn": above, "type": "buildflow:SQSQueue"}, queue]
        latest = {"manifest": {"time": "2026-01-02T03:04:05Z"}, "resources": resources}
        path.write_text(json.dumps({"checkpoint": {"latest": latest}}))

    @pytest.fixture
    def shop(self, bare, tmp_path):
        (tmp_path / "buildflow.yaml").write_text(YAML)
        for stack in ("local", "prod"):
            self.state(tmp_path, stack)
        bare("%load_ext buildflow_nb")
        bare("from buildflow_nb.io.aws import SQSQueue, S3Bucket")
        yield bare
        bare("%unload_ext buildflow_nb")

    def test_the_stack_is_shown_before_anything_ran(self, shop):
        shop("app.manage(SQSQueue('orders', aws_region=None))")
        ran = shop("%buildflow status")
        assert isinstance(ran.value, FlowSnapshot)
        assert "stack='local'" in repr(ran.value)
        (shown,) = ran.bundles
        for form in ("text/plain", "text/html"):
            assert "stack local on the local cloud: 1 resource, last changed 2026-01-0" in (
                read(shown[form]).text if form == "text/html" else shown[form]
            )
            assert "aws:sqs/queue:Queue" in shown[form]
            assert "https://sqs/1/orders" in shown[form]
            assert "▲" not in shown[form]

    def test_what_is_not_as_declared_is_said(self, shop):
        shop("app.manage(S3Bucket('new-bucket'))")
        (shown,) = shop("%buildflow status").bundles
        for form in shown.values():
            assert "declared and not applied: S3Bucket s3://new-bucket" in form
            assert "applied and not declared: SQSQueue orders" in form

    def test_another_stack_with_links_to_its_console(self, shop):
        shop("app.manage(SQSQueue('orders'))")
        (shown,) = shop("%buildflow status --stack prod").bundles
        assert "stack prod on a real cloud: 1 resource" in shown["text/plain"]
        assert "https://console.aws.amazon.com/sqs" in shown["text/plain"]
        assert 'href="https://console.aws.amazon.com/sqs' in shown["text/html"]

    @pytest.mark.parametrize("word", ["preview", "apply", "refresh", "destroy", "status"])
    def test_a_stack_that_is_not_there(self, shop, word):
        ran = shop(f"%buildflow {word} --stack prd")
        assert str(ran.error).endswith("has: local, prod; did you mean 'prod'?")

    @pytest.mark.parametrize("word", ["preview", "apply --yes", "refresh", "destroy --yes"])
    def test_the_stack_that_is_named_is_worked_on(self, shop, monkeypatch, word):
        from buildflow_nb.core.errors import InfraError

        worked = []

        def operate(deployment, operation, *_):
            worked.append((operation.value, deployment.stack.name))
            msg = "no engine here"
            raise InfraError(msg)

        monkeypatch.setattr("buildflow_nb.infra.flow_operation.operate", operate)
        assert "no engine here" in str(shop(f"%buildflow {word} --stack prod").error)
        first = "preview" if "apply" in word else word.split()[0]  # it may delete: seen first
        assert worked == [(first, "prod")]
