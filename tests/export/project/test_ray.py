"""A flow on Ray as a project: how it is known, and what its files say to Ray and Kubernetes."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import shlex

import pytest
import yaml

from buildflow_nb.core.config import Config, Stack
from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.project.kubernetes import deploy_files, entrypoint, name_of
from buildflow_nb.export.project.ray_engine import RayEngine, ray_engine_of
from tests.export.programs import TEXT, files, program
from tests.export.project.kubernetes_fields import RAY_JOB, SERVICE, wrong
from tests.export.project.test_container import linted

VERSION = importlib.metadata.version("ray")
HEAD = "from buildflow_nb import Flow, FlowOptions\n"
ON_RAY = TEXT.replace("app = Flow()", 'app = Flow(flow_options=FlowOptions(engine="ray"))').replace(
    "from buildflow_nb import Flow\n", HEAD
)
NO_ROUTES = ON_RAY.replace("@app.endpoint", "@app.consumer")
CONFIG = """
app: shop
pulumi_config:
  default_stack: {default}
  stacks:
    - {{name: local, cloud: local}}
    - {{name: prod, cloud: real, engine: ray, address: "http://head:8265"}}
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project without a buildflow.yaml, until one is written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def engine(*, cloud="real", named=False, routes=True):
    return RayEngine("2.60.0", "3.11.7", Stack("prod", cloud=cloud), named, routes)


def deployed(made=None, **how):
    found = deploy_files(made or program(), "shop", engine(**how))
    return {path: yaml.safe_load(text) for path, text in found.items()}


class TestKnown:
    def config(self, *stacks, default="local"):
        return Config("shop", None, {one.name: one for one in stacks}, default)

    LOCAL, PROD = Stack("local", cloud="local"), Stack("prod", engine="ray")

    @pytest.mark.parametrize(
        "options", ['FlowOptions(engine="ray")', 'buildflow_nb.FlowOptions(engine="ray")']
    )
    def test_options_that_say_so_do_on_the_default_stack(self, options):
        found = ray_engine_of(program(f"x = {options}"), self.config(self.LOCAL))
        assert (found.stack.name, found.named) == ("local", False)
        assert (found.version, found.python) == (VERSION, platform.python_version())

    @pytest.mark.parametrize(("default", "named"), [("local", True), ("prod", False)])
    def test_so_does_a_stack_which_is_named_where_it_is_not_the_default_one(self, default, named):
        config = self.config(self.LOCAL, self.PROD, default=default)
        found = ray_engine_of(program(), config)
        assert (found.stack.name, found.named) == ("prod", named)

    @pytest.mark.parametrize(
        "text", ["", "FlowOptions()", "FlowOptions(engine=None)", "f(engine='ray')"]
    )
    def test_nothing_else_does(self, text):
        assert ray_engine_of(program(text), self.config(self.LOCAL)) is None

    def test_options_come_before_the_stacks(self):
        text = 'x = FlowOptions(engine="process")'
        assert ray_engine_of(program(text), self.config(self.LOCAL, self.PROD)) is None

    def test_without_ray_it_is_told_what_to_install(self, monkeypatch):
        def missing(name):
            raise importlib.metadata.PackageNotFoundError(name)

        monkeypatch.setattr("buildflow_nb.export.project.ray_engine.version", missing)
        with pytest.raises(UsageError, match=r"pip install 'buildflow_nb\[ray\]', so that"):
            ray_engine_of(program(ON_RAY), self.config(self.LOCAL))
        assert ray_engine_of(program(), self.config(self.LOCAL)) is None


class TestWithoutRay:
    def test_no_file_says_a_word_of_it(self, tmp_path):
        made = files(tmp_path / "shop")
        for path, text in made.items():
            assert not re.search(r"\bray\b|deploy/|kuberay", str(text), re.IGNORECASE), path

    def test_what_is_not_of_ray_is_the_same(self, tmp_path):
        plain, ray = files(tmp_path / "shop"), files(tmp_path / "shop", program(ON_RAY))
        more = {"deploy/rayjob.yaml", "deploy/service.yaml"}
        assert set(ray) - set(plain) == more
        differ = {path for path in plain if plain[path] != ray[path]}
        assert differ == {"main.py", "requirements.txt", "Dockerfile", ".dockerignore", "README.md"}
        for path in differ - {"main.py"}:
            here, there = str(plain[path]).splitlines(), str(ray[path]).splitlines()
            lost = [line for line in here if line not in there]
            assert all(re.match(r"FROM |RUN pip|buildflow-nb", line) for line in lost), path


class TestImage:
    @pytest.fixture
    def made(self, tmp_path):
        return files(tmp_path / "shop", program(ON_RAY))

    def test_ray_and_python_are_those_of_this_machine_to_the_patch(self, made):
        python = platform.python_version()
        assert made["Dockerfile"].startswith(f"FROM python:{python}-slim\n")
        assert f'"ray[default]=={VERSION}"\n' in made["Dockerfile"]
        assert f"ray=={VERSION}" in made["requirements.txt"].splitlines()
        assert "buildflow-nb[ray]==" in made["requirements.txt"]
        assert f'# requires-python = "=={python}"\n' in made["main.py"]
        assert f'#   "ray=={VERSION}",\n' in made["main.py"]

    def test_hadolint_finds_nothing(self, made):
        assert linted(made["Dockerfile"]) == []

    def test_it_has_what_kuberay_asks_health_with_and_no_deployment(self, made):
        assert "install --yes --no-install-recommends wget" in made["Dockerfile"]
        assert "deploy" in made[".dockerignore"].split()

    def test_a_stack_keeps_its_engine_and_where_it_is(self, project):
        (project / "buildflow.yaml").write_text(CONFIG.format(default="local"))
        made = files(project / "shop")
        stacks = yaml.safe_load(made["buildflow.yaml"])["pulumi_config"]["stacks"]
        assert stacks[1]["engine"] == "ray"
        assert stacks[1]["address"] == "http://head:8265"
        assert "--address local --stack prod" in made["README.md"]


class TestKubernetes:
    @pytest.mark.parametrize("cloud", ["real", "local"])
    @pytest.mark.parametrize("routes", [True, False])
    def test_each_field_is_one(self, cloud, routes):
        made = deployed(program(secrets=("TOKEN",)), cloud=cloud, routes=routes)
        assert wrong(made.pop("deploy/rayjob.yaml"), RAY_JOB) == []
        assert [wrong(one, SERVICE) for one in made.values()] == [[]] * routes

    def test_a_field_that_is_none_is_found(self):
        job = deployed()["deploy/rayjob.yaml"]
        job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["minReplica"] = 1
        job["spec"]["rayClusterSpec"]["rayVersion"] = 2.6
        found = wrong(job, RAY_JOB)
        assert found == [
            ".spec.rayClusterSpec.rayVersion: 2.6 is no str",
            ".spec.rayClusterSpec.workerGroupSpecs[0].minReplica: no such field",
        ]

    def test_the_job_drains_when_it_is_stopped_and_takes_its_cluster_along(self):
        spec = deployed()["deploy/rayjob.yaml"]["spec"]
        assert yaml.safe_load(spec["runtimeEnvYAML"]) == {
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
        }
        assert spec["shutdownAfterJobFinishes"] is True
        cluster = spec["rayClusterSpec"]
        assert cluster["rayVersion"] == "2.60.0"
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            pod = group["template"]["spec"]
            (container,) = pod["containers"]
            name, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
            assert name == "sleep"
            assert 30 < int(seconds) < pod["terminationGracePeriodSeconds"]

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ({"routes": False}, ""),
            ({}, " --host 0.0.0.0 --port 8000"),
            ({"named": True, "routes": False}, " --stack prod"),
        ],
    )
    def test_what_runs(self, how, words):
        run = f"buildflow run --engine ray --address auto{words}"
        assert entrypoint(engine(**how)) == run
        assert deployed(**how)["deploy/rayjob.yaml"]["spec"]["entrypoint"] == run

    def test_a_job_begins_though_no_route_answers_yet(self):
        """KubeRay submits it when all machines are ready, and none is ready without a route."""
        cluster = deployed()["deploy/rayjob.yaml"]["spec"]["rayClusterSpec"]
        (workers,) = cluster["workerGroupSpecs"]
        (worker,) = workers["template"]["spec"]["containers"]
        (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
        assert worker["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": 8000}
        assert "readinessProbe" not in head
        assert workers["replicas"] == workers["minReplicas"] == 0 < workers["maxReplicas"]
        assert cluster["enableInTreeAutoscaling"] is True

    @pytest.mark.parametrize(("cloud", "role"), [("real", "worker"), ("local", "head")])
    def test_requests_go_where_routes_may_be(self, cloud, role):
        made = deployed(cloud=cloud)
        cluster = made["deploy/rayjob.yaml"]["spec"]["rayClusterSpec"]
        head, workers = cluster["headGroupSpec"], cluster["workerGroupSpecs"][0]
        selector = made["deploy/service.yaml"]["spec"]["selector"]
        assert selector == {"flow": "shop", "role": role}
        chosen = {"head": head, "worker": workers}[role]["template"]["metadata"]["labels"]
        assert chosen == selector
        assert ("num-cpus" in head["rayStartParams"]) == (role == "worker")

    def test_without_routes_nothing_is_served(self):
        made = deployed(routes=False)
        assert set(made) == {"deploy/rayjob.yaml"}
        assert "readinessProbe" not in str(made)

    def test_secrets_come_by_name_and_no_value_is_written(self, monkeypatch):
        monkeypatch.setenv("SHOP_TOKEN", "made-up")
        text = deploy_files(program(secrets=("SHOP_TOKEN",)), "shop", engine())
        assert "made-up" not in str(text)
        cluster = yaml.safe_load(text["deploy/rayjob.yaml"])["spec"]["rayClusterSpec"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            (container,) = group["template"]["spec"]["containers"]
            (variable,) = container["env"]
            assert variable["name"] == "SHOP_TOKEN"
            assert variable["valueFrom"]["secretKeyRef"] == {"name": "shop", "key": "SHOP_TOKEN"}

    @pytest.mark.parametrize(
        ("app", "name"),
        [
            ("Shop_1", "shop-1"),
            ("--", "flow"),
            ("7days", "flow-7days"),
            ("a" * 39 + "-b", "a" * 39),
        ],
    )
    def test_a_name_is_one_of_kubernetes(self, app, name):
        assert name_of(app) == name
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)

    @pytest.mark.parametrize("app", ["on", "null", "yes"])
    def test_a_name_is_a_text_whatever_it_says(self, app):
        found = deploy_files(program(), app, engine())
        assert all(yaml.safe_load(t)["metadata"]["name"] == app for t in found.values())


def test_the_readme_says_how_it_runs_in_each_place(tmp_path):
    text = files(tmp_path / "shop", program(ON_RAY, secrets=("TOKEN",)))["README.md"]
    assert "buildflow run --engine ray --address local  " in text
    (line,) = re.findall(r"ray job submit (?:.*\\\n)+.*", text)
    words = shlex.split(line.replace("\\\n", ""))
    at = words.index("--")
    assert words[3:at:2] == ["--address", "--working-dir", "--runtime-env-json"]
    assert json.loads(words[at - 1]) == {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60"}}
    assert words[at + 1 :][:6] == ["buildflow", "run", "--engine", "ray", "--address", "auto"]
    assert (
        "kubectl create secret generic shop --from-env-file=.env\nkubectl apply -f deploy/" in text
    )
    assert "Stack `local` is on the local cloud" in text


def test_without_routes_there_is_no_service(tmp_path):
    assert "deploy/service.yaml" not in files(tmp_path / "shop", program(NO_ROUTES))
