"""buildflow.yaml: BuildFlow's own files load, and wrong ones say which line and key."""

from __future__ import annotations

import re

import pytest

from buildflow_nb import Flow, FlowOptions, Thresholds
from buildflow_nb.core.config import find_config, load_config
from buildflow_nb.core.errors import ConfigError
from buildflow_nb.core.pricing import Usage

ORIGINAL = """\
app: my-app
pulumi_config:
    stacks:
    -   name: local
        backend_url: file://./.buildflow/_pulumi/local
    -   name: prod
        backend_url: s3://state
        cloud: real
    pulumi_home: ./.buildflow/_pulumi
    default_stack: local
entry_point: main:app
build_ignores: ["*.csv"]
cloud_provider_config:
  default_cloud_provider: gcp
  aws_options: {default_region: us-east-1}
  azure_options: {default_region: null}
  gcp_options: {default_project_id: my-project, default_region: null, default_zone: null}
  local_options: {}
"""


def test_a_file_of_the_original_loads(tmp_path):
    (tmp_path / "buildflow.yaml").write_text(ORIGINAL)
    config = load_config(tmp_path / "buildflow.yaml")
    assert (config.app, config.entry_point, config.default_stack) == ("my-app", "main:app", "local")
    assert config.stacks["local"].cloud == "real"  # as in the original, which knew no other
    assert config.stacks["prod"].backend_url == "s3://state"
    assert config.provider.gcp_project == "my-project"
    assert config.provider.aws_region == "us-east-1"
    assert config.build_ignores == ("*.csv",)


def test_the_file_is_found_upwards_and_need_not_be_there(tmp_path, monkeypatch):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    implicit = find_config(inner)
    assert (implicit.default_stack, implicit.stacks["local"].cloud) == ("local", "local")
    (tmp_path / "buildflow.yaml").write_text(ORIGINAL)
    flow = Flow(flow_options=FlowOptions(stack="prod"))
    assert (flow.stack, flow.config.folder) == ("prod", tmp_path)


def test_old_files_call_the_app_project(tmp_path):
    (tmp_path / "buildflow.yaml").write_text("project: old\n")
    assert load_config(tmp_path / "buildflow.yaml").app == "old"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "buildflow.yaml line 1: the file is empty"),
        ("app: [", "buildflow.yaml line 1: not YAML"),
        ("- a\n- b\n", "line 1: the file must be a mapping"),
        ("entry_point: x\n", "line 1: app is missing"),
        ("app: a\nentrypoint: x\n", "line 2: entrypoint is not a known key; did you mean 'entry_p"),
        ("app: a\npulumi_config: 3\n", "line 2: pulumi_config must be a mapping"),
        (
            "app: a\npulumi_config:\n  stacks:\n  - name: x\n    cloud: moon\n",
            r"line 5: pulumi_config.stacks\[0\].cloud must be local or real, got 'moon'",
        ),
        (
            "app: a\npulumi_config:\n  stacks:\n  - backend_url: x\n",
            r"line 4: pulumi_config.stacks\[0\].name is missing",
        ),
        (
            "app: a\npulumi_config:\n  default_stack: x\n  stacks:\n  - name: y\n",
            "pulumi_config.default_stack names no stack of the file",
        ),
        ("app: a\nbuild_ignores: x\n", "line 2: build_ignores must be a list"),
        (
            "app: a\ncloud_provider_config: {default_cloud_provider: asw}\n",
            "must be aws or azure or gcp or local, got 'asw'; did you mean 'aws'?",
        ),
    ],
)
def test_a_wrong_file_says_line_and_key(tmp_path, text, message):
    (tmp_path / "buildflow.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "buildflow.yaml")


def test_a_file_that_runs_code_is_refused(tmp_path):
    (tmp_path / "buildflow.yaml").write_text("app: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="app must be a text"):
        load_config(tmp_path / "buildflow.yaml")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"app: a\nx: \x1b", "line 2: not YAML: the character U+001B is not allowed; remove it"),
        (b"app: a\x00", "line 1: not YAML: the character U+0000 is not allowed"),
        (b"[" * 3_000, "its lists or mappings are nested too deeply"),
        (b"- " * 3_000 + b"a", "nested too deeply"),
        (b'app: "a\\x1b[31m"', r"line 1: app must be one line of visible characters, got 'a\x1b"),
        (b'app: "\\ud800"', r"app must be one line of visible characters, got '\ud800'"),
        (b'app: "' + b"a" * 5_000 + b'\\n"', "app must be one line of visible characters"),
        (b'"a\\e": 1', "a key must be one line of visible characters"),
        (b'app: "\\UFFFFFFFF"', "buildflow.yaml: not YAML: "),
        (b"app: a\napp: b", "line 2: app stands there twice, first in line 1; keep one of them"),
        (
            b"app: a\npulumi_config:\n  stacks: []\n  stacks: []",
            "line 4: pulumi_config.stacks stands",
        ),
        (b"? [a]\n: b", "line 1: a key must be a text"),
        (b"app: a\nbuild_ignores: [[a]]", "line 2: build_ignores[0] must be a text"),
        (b"app: a\nbuild_ignores: &x [*x]", "build_ignores[0] must be a text"),
        (b"app: a\npulumi_config: &x {stacks: [*x]}", "pulumi_config.stacks[0].name is missing"),
        (b"\tapp: a", "line 1: not YAML: found character"),
        (b"app: a\n---\napp: b", "line 2: not YAML: but found another document"),
        (b"\xff\xfea\x00", "cannot be read"),
        (b"#" * (2 << 20), "is longer than 1,048,576 bytes"),
    ],
    ids=range(19),
)
def test_whatever_is_in_the_file_is_told_in_one_line(tmp_path, data, told):
    (tmp_path / "buildflow.yaml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        find_config(tmp_path)
    assert told in str(caught.value)
    assert str(caught.value).isprintable(), "one line, and nothing that a terminal obeys"
    assert len(str(caught.value)) < 400


def test_what_is_no_file_in_its_place_is_told(tmp_path):
    (tmp_path / "buildflow.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"buildflow\.yaml: is no file; move it away"):
        find_config(tmp_path)


@pytest.mark.parametrize(
    ("data", "app"),
    [
        (b"app: 2024-01-01", "2024-01-01"),
        (b"app: " + b"9" * 5_000, "9" * 5_000),
        (b"\xef\xbb\xbfapp: a", "a"),
        ("app: Übung 😀".encode(), "Übung 😀"),
        (b"app: &a x\nentry_point: *a", "x"),
    ],
)
def test_odd_but_right(tmp_path, data, app):
    (tmp_path / "buildflow.yaml").write_bytes(data)
    assert find_config(tmp_path).app == app


def _load(folder, text):
    path = folder / "buildflow.yaml"
    path.write_text(text)
    return load_config(path)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", None),
        ("health:\n", None),
        ("health: {}\n", Thresholds()),
        ("health: {failed_share: 0.2, backlog: 1000}\n", Thresholds(0.2, 1000)),
        ("health: {p99_s: 0.5, silence_s: 60}\n", Thresholds(p99_s=0.5, silence_s=60.0)),
    ],
)
def test_a_file_says_from_where_on_a_flow_is_not_well(tmp_path, text, limits):
    assert _load(tmp_path, f"app: shop\n{text}").health == limits


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{failed_share: 3}", "line 2: health.failed_share must be a number from 0 to 1, got '3'"),
        ("{backlog: many}", "health.backlog must be a number of at least 0, got 'many'"),
        ("{p99_s: -1}", "health.p99_s must be a number of at least 0, got '-1'"),
        ("{silence_s: .inf}", "health.silence_s must be a number of at least 1, got '.inf'"),
        ("{silence: 5}", "health.silence is not a known key; did you mean 'silence_s'"),
        ("[1]", "health must be a mapping of keys to values"),
    ],
)
def test_thresholds_of_a_file_that_are_none_are_refused(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, f"app: shop\nhealth: {text}\n")
    assert said in str(caught.value)


def test_usage_is_numbers_by_name(tmp_path):
    path = tmp_path / "buildflow.yaml"
    path.write_text(
        "app: shop\nusage:\n  orders: {elements_per_s: 120, element_kb: 2}\n"
        '  "S3Bucket s3://exports":\n    storage_gb: 40\n'
    )
    found = load_config(path).usage
    assert found["orders"] == Usage(120.0, 2.0)
    assert found["S3Bucket s3://exports"] == Usage(storage_gb=40.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("usage: 3", "line 2: usage must be a mapping"),
        ("usage:\n  orders: 3", "line 3: usage.orders must be a mapping"),
        ("usage:\n  orders: {rate: 3}", "line 3: usage.orders.rate is not a known key"),
        ("usage:\n  orders: {elements_per_s: -1}", "elements_per_s must be a number of at least 0"),
        ("usage:\n  orders: {storage_gb: much}", "storage_gb must be a number of at least 0"),
        ("usage:\n  orders: {storage_gb: .inf}", "storage_gb must be a number of at least 0"),
    ],
)
def test_wrong_usage_is_refused_with_line_and_key(tmp_path, text, said):
    path = tmp_path / "buildflow.yaml"
    path.write_text(f"app: shop\n{text}\n")
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_config(path)
