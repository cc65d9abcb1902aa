"""A flow that is submitted as a job: what is sent, what is said, and how the command ends."""

from __future__ import annotations

import io
import json
import signal
import zipfile

import pytest

from buildflow_nb.cli.jobs import package, submitting, watching
from tests.cli.jobs.fake_server import FakeServer

FLOW = """
from buildflow_nb import Flow
from buildflow_nb.io.local import Empty, Pulse

app = Flow("shop")

@app.consumer(Pulse([1], 1), Empty())
def price(n: int) -> int:
    return n
"""
CONFIG = """
app: shop
entry_point: main:app
build_ignores: ["*.big"]
pulumi_config:
  default_stack: local
  stacks:
    - {name: local, cloud: local}
    - {name: prod, cloud: real, engine: ray, address: "ADDRESS"}
"""
TOKEN = "made-up-0123"  # noqa: S105
NO_TOKEN = {"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": ""}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watching, "LOOK_S", 0.01)


@pytest.fixture
def server():
    with FakeServer() as made:
        yield made


@pytest.fixture
def project(here):
    here.file("main.py", FLOW)
    return here


def submitted(project, server, *words, **more):
    given = {**NO_TOKEN, **more}
    return project("run", "--engine", "ray", "--address", server.address, *words, **given)


def test_the_same_words_run_on_the_cluster(project, server):
    words = ("--until", "drained", "--timeout", "90s", "--host", "::", "--app", "main:app")
    assert submitted(project, server, *words, "--run-id", "a b").returncode == 0
    (job,) = server.jobs
    entry = "buildflow run --until drained --timeout 90.0 --host :: --engine ray --address auto"
    assert set(job["entrypoint"].split()) == {
        *entry.split(),
        "--run-id",
        "'a",
        "b'",
        "--app",
        "main:app",
    }
    assert job["submission_id"] == "shop-a-b"


def test_a_drain_has_its_time_and_nothing_else_of_the_environment_goes_along(project, server):
    submitted(project, server, SHOP_REGION="made-up")
    (job,) = server.jobs
    (name,) = server.packages
    assert job["runtime_env"] == {
        "working_dir": f"gcs://{name}",
        "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60"},
    }
    assert "made-up" not in json.dumps(job)
    assert set(job) == {"entrypoint", "submission_id", "runtime_env"}


def test_its_log_is_printed_and_what_is_ours_is_on_stderr(project, server):
    done = submitted(project, server)
    assert (done.returncode, done.stdout) == (0, server.log)
    name = server.jobs[0]["submission_id"]
    assert f"job {name} is at {server.address}; Ctrl-C asks it to stop\n" in done.stderr


def test_a_project_is_sent_once(project, server):
    submitted(project, server)
    done = submitted(project, server)
    assert len(server.packages) == 1
    assert len(server.jobs) == 2
    assert "files go to" not in done.stderr
    project.file("main.py", FLOW + "\n")
    assert "1 files go to Ray 2.60.0" in submitted(project, server).stderr
    assert len(server.packages) == 2


def test_data_secrets_and_state_stay_here(project, server):
    kept = ("rates.csv", "shop/prices.py", ".env.example")
    left = ("shop.duckdb", "shop.duckdb.wal", "a.ipynb", ".env", "tls.key", "x.big", ".git/HEAD")
    for name in (*kept, *left, ".buildflow/pulumi/state", "key.pem", ".aws/credentials"):
        project.file(name, "x")
    project.file("buildflow.yaml", CONFIG)
    submitted(project, server)
    (data,) = server.packages.values()
    names = set(zipfile.ZipFile(io.BytesIO(data)).namelist())
    assert names == {"main.py", "buildflow.yaml", *kept}


def test_one_that_is_too_big_is_told_with_what_to_leave_out(project, server, monkeypatch):
    monkeypatch.setattr(package, "MOST_BYTES", 10**6)
    project.file("data/orders.csv", "x" * (10**6 + 1))
    done = submitted(project, server)
    assert done.returncode == 2
    assert "a job takes 1 MB; the biggest is data/orders.csv (1 MB): leave out" in done.stderr
    assert server.asked == []


def test_a_stack_may_name_the_cluster(project, server):
    project.file("buildflow.yaml", CONFIG.replace("ADDRESS", server.address))
    assert project("run", "--stack", "prod", **NO_TOKEN).returncode == 0
    entry = "buildflow run --engine ray --address auto --stack prod"
    assert server.jobs[0]["entrypoint"] == entry


class TestEnds:
    def test_one_that_failed_is_told_in_a_line(self, project, server):
        server.status, server.exit_code = "FAILED", 1
        server.message = (
            "Job entrypoint command failed with exit code 1, last available logs:\na\nb"
        )
        done = submitted(project, server)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last.endswith(" failed: Job entrypoint command failed with exit code 1")

    def test_a_cluster_without_the_command_is_told_what_it_lacks(self, project, server):
        server.status, server.exit_code = "FAILED", 127
        done = submitted(project, server)
        assert "no command buildflow; install buildflow_nb in the cluster's image" in done.stderr

    def test_one_that_somebody_else_stopped_is_no_success(self, project, server):
        server.status = "STOPPED"
        done = submitted(project, server)
        assert done.returncode == 1
        assert "was stopped by somebody else" in done.stderr

    def test_one_that_is_not_known_any_more_is_told(self, project, server):
        server.refuse = {"GET /api/jobs/shop": (404, "Job shop-1 does not exist")}
        done = submitted(project, server)
        assert done.returncode == 1
        assert "does not say how job shop-" in done.stderr

    def test_a_log_whose_line_is_cut_is_said_once_and_whole(self, project, server):
        server.cut = 3
        assert submitted(project, server).stdout == server.log

    def test_a_log_comes_also_where_no_line_stays_open(self, project, server):
        server.tail, server.status, server.ends_when_read = False, "RUNNING", True
        done = submitted(project, server)
        assert (done.returncode, done.stdout) == (0, server.log)

    def test_a_server_that_is_silent_for_a_moment_is_waited_for(self, project, server):
        server.silent = 3
        done = submitted(project, server)
        assert done.returncode == 0
        assert done.stderr.count("it is waited for, the job goes on meanwhile\n") == 1

    def test_one_that_is_silent_for_long_is_left_with_what_may_be(
        self, project, server, monkeypatch
    ):
        monkeypatch.setattr(watching, "PATIENCE_S", 0.05)
        server.silent = 1000
        done = submitted(project, server)
        assert done.returncode == 1
        assert "was lost sight of, and may go on: http://" in done.stderr

    def test_json_is_alone_on_stdout(self, project, server):
        server.log = 'Running entrypoint\n{"kind": "RunStarted"}\nprinted\n'
        done = submitted(project, server, "--json")
        assert done.stdout == '{"kind": "RunStarted"}\n'
        assert "Running entrypoint\n" in done.stderr
        assert "--json" in server.jobs[0]["entrypoint"]

    def test_where_nobody_reads_its_log_it_is_left(self, project, server, monkeypatch):
        server.status = "RUNNING"

        def nobody(self, text):
            raise BrokenPipeError

        monkeypatch.setattr(submitting._Log, "say", nobody)
        assert submitted(project, server).returncode == 1
        assert (server.status, server.stops) == ("RUNNING", 0)

    def test_detached_it_is_left_alone(self, project, server):
        server.status = "RUNNING"
        done = submitted(project, server, "--detach")
        name = server.jobs[0]["submission_id"]
        assert done.returncode == 0
        assert f"stop it by: ray job stop {name} --address {server.address}" in done.stdout
        assert "--detach" not in server.jobs[0]["entrypoint"]
        told = json.loads(submitted(project, server, "--detach", "--json").stdout)
        assert told == {"job": server.jobs[1]["submission_id"], "address": server.address}


class TestSignals:
    @pytest.fixture
    def begun(self, terminal, server):
        terminal.file("main.py", FLOW)
        server.status = "RUNNING"

        def begin():
            words = ("run", "--engine", "ray", "--address", server.address)
            running = terminal.begin(*words, **NO_TOKEN)
            running.until("price is stopped")
            return running

        return begin

    def test_the_first_asks_the_job_to_stop_and_follows_it(self, begun, server):
        running = begun()
        running.signal(signal.SIGINT)
        assert running.ended() == 0
        assert "is asked to stop, and drains; once more leaves it" in running.said
        assert server.stops == 1

    def test_the_second_leaves_it_and_says_how_to_stop_it(self, begun, server):
        server.on_stop = ""
        running = begun()
        running.signal(signal.SIGTERM)
        running.until("once more leaves it")
        running.signal(signal.SIGINT)
        assert running.ended() == 130
        name = server.jobs[0]["submission_id"]
        assert f"stop it by: ray job stop {name} --address {server.address}" in running.said
        assert server.stops == 1

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_one_before_there_is_a_job_leaves_none(self, terminal, server, number):
        terminal.file("main.py", FLOW)
        server.slow = True
        running = terminal.begin("run", "--engine", "ray", "--address", server.address, **NO_TOKEN)
        server.reached()
        running.signal(number)
        assert running.ended() == 128 + number
        assert running.said == "buildflow: interrupted\n"
        assert server.jobs == []


class TestErrors:
    def test_nothing_listens(self, project):
        done = project("run", "--engine", "ray", "--address", "http://127.0.0.1:1", **NO_TOKEN)
        assert done.returncode == 1
        assert done.stderr == (
            "buildflow: nothing listens at http://127.0.0.1:1; start a head there (ray start "
            "--head), or forward its port 8265 to this machine\n"
        )

    @pytest.mark.parametrize("version", [None, {"some": "thing"}])
    def test_no_jobs_are_taken_there(self, project, server, version):
        server.version = version
        done = submitted(project, server)
        assert done.returncode == 1
        assert "takes no jobs; give the address of a Ray dashboard" in done.stderr
        assert "ray[default]" in done.stderr

    def test_what_ray_says_is_told_by_its_last_line(self, project, server):
        server.refuse = {
            "POST /api/jobs/": (500, "Traceback\n  x\nValueError: Job with id exists\n")
        }
        done = submitted(project, server)
        assert "does not take the job: ValueError: Job with id exists (500)" in done.stderr

    def test_a_redirection_is_not_followed(self, project, server):
        server.refuse = {"GET /api/version": (302, "")}
        assert "sends elsewhere (302); give the address itself" in submitted(project, server).stderr

    @pytest.mark.parametrize(
        "address", ["http://", "http://h:8265?a=b", "http://h:70000", "https://h#x"]
    )
    def test_what_is_no_address_is_refused(self, project, address):
        done = project("run", "--engine", "ray", "--address", address, **NO_TOKEN)
        assert done.returncode == 2
        assert "is no address of a" in done.stderr

    def test_a_password_in_it_is_refused_and_not_repeated(self, project):
        done = project("run", "--engine", "ray", "--address", "http://me:hush@h:1", **NO_TOKEN)
        assert done.returncode == 2
        assert "leave user and password out of the address: http://h:1;" in done.stderr
        assert "hush" not in done.stderr

    def test_reload_is_for_this_machine(self, project, server):
        done = submitted(project, server, "--reload")
        assert (done.returncode, server.asked) == (2, [])
        assert "--reload watches files of this machine" in done.stderr

    def test_detach_is_for_a_job(self, project):
        done = project("run", "--detach")
        assert done.returncode == 2
        assert "add --engine ray --address http://head:8265" in done.stderr


class TestTokens:
    def test_one_is_sent_and_never_shown(self, project, server):
        server.token = TOKEN
        done = submitted(project, server, RAY_AUTH_TOKEN=TOKEN)
        assert done.returncode == 0
        assert TOKEN not in done.stdout + done.stderr + json.dumps(server.jobs)

    def test_one_may_be_in_a_file(self, project, server):
        server.token = TOKEN
        path = project.file("token", f"{TOKEN}\n")
        assert submitted(project, server, RAY_AUTH_TOKEN_PATH=str(path)).returncode == 0

    def test_without_one_it_is_told_where_it_comes_from(self, project, server):
        server.token = TOKEN
        done = submitted(project, server)
        said = "takes no jobs without its token; set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to its"
        assert said in done.stderr
        assert "has another token" in submitted(project, server, RAY_AUTH_TOKEN=TOKEN[1:]).stderr

    @pytest.mark.parametrize("token", ["a\nb", "ü"])
    def test_what_is_none_is_refused(self, project, server, token):
        done = submitted(project, server, RAY_AUTH_TOKEN=token)
        assert done.returncode == 2
        assert "what RAY_AUTH_TOKEN gives is no token" in done.stderr

    def test_a_file_that_is_not_there_is_named(self, project, server):
        path = str(project.folder / "nowhere")
        done = submitted(project, server, RAY_AUTH_TOKEN_PATH=path)
        assert done.returncode == 2
        assert f"RAY_AUTH_TOKEN_PATH names {path}: No such file" in done.stderr
