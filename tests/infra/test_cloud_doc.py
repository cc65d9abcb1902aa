"""What docs/cloud.md shows works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from buildflow_nb.core.config import load_config
from buildflow_nb.core.status.operations import Op
from tests.infra.conftest import ENGINE

pytestmark = ENGINE
PAGE = (Path(__file__).parents[2] / "docs" / "cloud.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def block(language: str, word: str) -> str:
    (found,) = (text for kind, text in BLOCKS if kind == language and word in text)
    return found


def test_a_primitive_of_ones_own(project, s3):
    names: dict = {"__name__": __name__}
    exec(block("python", "class Archive"), names)  # noqa: S102  (our own page)
    archive = names["Archive"]("my-archive")
    assert project.apply(archive).summary.changes == {Op.CREATE: 1}
    assert "my-archive" in {found["Name"] for found in s3.list_buckets()["Buckets"]}
    assert project.destroy(archive).summary.changes == {Op.DELETE: 1}


def test_the_file_of_stacks(tmp_path):
    (tmp_path / "buildflow.yaml").write_text(block("yaml", "{name: prod"))
    config = load_config(tmp_path / "buildflow.yaml")
    assert config.stack(None).cloud == "local"
    prod = config.stack("prod")
    assert (prod.cloud, prod.backend_url) == ("real", "s3://shop-state")


def test_the_file_of_a_portable_flow(tmp_path):
    (tmp_path / "buildflow.yaml").write_text(block("yaml", "default_cloud_provider"))
    config = load_config(tmp_path / "buildflow.yaml")
    dev, prod = (config.provider_of(config.stack(name)) for name in ("local", "prod"))
    assert (dev.default, dev.gcp_project) == ("gcp", "shop-dev")
    assert (prod.default, prod.aws_region) == ("aws", "eu-central-1")
