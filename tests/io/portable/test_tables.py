"""Portable tables on each cloud."""

from dataclasses import dataclass

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.portable import placed
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.gcp import BigQueryDataset, BigQueryTable
from buildflow_nb.io.portable import AnalysisTable, RelationalTable
from buildflow_nb.io.postgres import PostgresTable

GCP = Env(provider="gcp", cloud="local", gcp_project="shop-project")


def test_a_table_to_analyse_is_bigquerys_on_gcp_with_its_dataset():
    dataset = BigQueryDataset("shop-project", "buildflow_managed")
    table = BigQueryTable(dataset, "sales")
    assert placed(AnalysisTable("sales"), GCP, "sink") == (table,)
    assert placed(AnalysisTable("sales"), GCP, "managed") == (dataset, table)
    (named,) = placed(AnalysisTable(), GCP, "sink")
    assert named.table_name.startswith("table_")


@dataclass
class Sale:
    id: int


YAML = """
app: shop
pulumi_config:
  default_stack: here
  stacks:
    - {name: here, cloud: local}
    - name: google
      cloud: local
      cloud_provider_config:
        default_cloud_provider: gcp
        gcp_options: {default_project_id: shop-project}
"""


def test_a_managed_one_needs_the_type_of_its_rows_on_gcp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "buildflow.yaml").write_text(YAML)
    flow = Flow()
    flow.manage(AnalysisTable("sales"))
    with pytest.raises(DeclarationError, match=r"give \.options\(schema=YourType\)"):
        flow.on("google")
    flow.manage(AnalysisTable("sales").options(schema=Sale))
    (dataset, table) = flow.on("google").registry.managed
    assert (table.dataset, table.schema) == (dataset, Sale)


def test_a_relational_table_is_postgres_everywhere():
    url = "postgresql://me:hidden@db.example.com/shop"
    portable = RelationalTable("orders", url=url, key="id")
    assert "hidden" not in repr(portable)
    for provider in ("aws", "gcp", "local"):
        (here,) = placed(portable, Env(provider=provider, cloud="local"), "sink")
        assert here == PostgresTable("orders", key="id")
        (there,) = placed(portable, Env(provider=provider, cloud="real"), "sink")
        assert there == PostgresTable("orders", Secret(url), key="id")
