"""A secret that is typed into a cell is in nothing that is written or said."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import UsageError
from tests.export.notebook import (
    DOUBLE,
    LOAD,
    NUMBERS,
    PLAIN,
    exported,
    of_cells,
    program,
    saved,
    written,
)
from tests.export.notebook import text as md

KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
GITHUB = "ghp_" + "a1B2" * 9
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".dozjgNryP4J3jVmNHl0w"


@pytest.mark.parametrize(
    ("cell", "line", "name", "given"),
    [
        ("\nkey = open(password='hunter2')", 2, "PASSWORD", ("hunter2", "open(password={})")),
        ('ACCESS_TOKEN = "t0k3n"\nkey = ACCESS_TOKEN', 1, "ACCESS_TOKEN", ("t0k3n", "N = {}")),
        ('key = {"api_key": "abc1"}', 1, "API_KEY", ("abc1", '{{"api_key": {}}}')),
        ('key = {}\nkey["clientSecret"] = "abc1"', 2, "CLIENT_SECRET", ("abc1", 'Secret"] = {}')),
        ('def key(a, secret_key="abc1"): ...', 1, "SECRET_KEY", ("abc1", "(a, secret_key={})")),
        ('class key:\n    db_password: str = "xyz1"', 2, "DB_PASSWORD", ("xyz1", "str = {}")),
        ('mine = "abc1"\nkey = open(aws_access_key_id=mine)', 1, "MINE", ("abc1", "mine = {}")),
        (
            'from pydantic import SecretStr\nkey = open(token=SecretStr("abc1"))',
            2,
            "TOKEN",
            ("abc1", "SecretStr({})"),
        ),
        ('key = open(token=b"abc1")', 1, "TOKEN", ("abc1", "token={}.encode()")),
        (f'key = ("héé", "{KEY}")', 1, "AWS_ACCESS_KEY_ID", (KEY, '("héé", {})')),
        ('dsn = "postgres://me:hunter2@db/shop"\nkey = dsn', 1, "DSN", ("hunter2", "dsn = {}")),
        (
            'import os\nkey = os.getenv("DB_PASSWORD", "hunter2")',
            2,
            "DB_PASSWORD",
            ("hunter2", 'getenv("DB_PASSWORD", {})'),
        ),
        (
            'def link(user, password): ...\nkey = link("me", "hunter2")',
            2,
            "PASSWORD",
            ("hunter2", 'link("me", {})'),
        ),
        (
            'class Login:\n    user: str\n    token: str\nkey = Login("me", "abc-123")',
            4,
            "TOKEN",
            ("abc-123", 'Login("me", {})'),
        ),
        (
            'key = {"Authorization": "Bearer abc-123"}',
            1,
            "AUTHORIZATION",
            ("abc-123", '"Authorization": {}'),
        ),
        (f'key = ["{JWT}"]', 1, "JWT", (JWT, "key = [{}]")),
        ('key = {"X-Own": "Bearer abc-123"}', 1, "X_OWN", ("abc-123", '"X-Own": {}')),
        ('key = "https://host/x?q=1&api_key=abc-123"', 1, "KEY", ("abc-123", "key = {}")),
        ('key = open(auth=("me", "hunter2"))', 1, "PASSWORD", ("hunter2", '("me", {})')),
        (
            'import os\nkey = os.environ.setdefault("SECRET_KEY", "hunter2")',
            2,
            "SECRET_KEY",
            ("hunter2", 'setdefault("SECRET_KEY", {})'),
        ),
        ('pw: str = "hunter2"\nkey = pw', 1, "PW", ("hunter2", "pw: str = {}")),
        ('key = {"db": {"pass": "hunter2"}}', 1, "PASS", ("hunter2", '{{"pass": {}}}')),
        ('TOKENS = ["a1b2c3d4"]\nkey = TOKENS', 1, "TOKEN", ("a1b2c3d4", "TOKENS = [{}]")),
        ('creds = ("bob", "hunter2")\nkey = creds', 1, "PASSWORD", ("hunter2", '("bob", {})')),
        ('key = "Server=x;User=me;Password=hunter2;"', 1, "KEY", ("hunter2", "key = {}")),
        ('key = "host=db password=hunter2"', 1, "KEY", ("hunter2", "key = {}")),
        (
            'key = "https://hooks.slack.com/services/T0/B0/abc123"',
            1,
            "KEY",
            ("abc123", "key = {}"),
        ),
        (f'key = ["{GITHUB}"]', 1, "API_TOKEN", (GITHUB, "key = [{}]")),
        (f'key = "https://{GITHUB}@host/x"', 1, "KEY", (GITHUB, "key = {}")),
    ],
)
def test_a_secret_becomes_an_environment_variable(tmp_path, cell, line, name, given):
    value, program = given
    text, report = exported(tmp_path, LOAD, NUMBERS, cell, f"{DOUBLE} + len(str(key))")
    assert program.format(f'os.environ["{name}"]') in text
    assert "import os\n" in text
    assert report.secrets == (name,)
    (said,) = of_cells(report)
    assert said.startswith(f"cell [3] line {line}: ")
    assert f'os.environ["{name}"]' in said
    assert value not in written(tmp_path) + str(report.warnings)
    assert name in (tmp_path / ".env.example").read_text()


@pytest.mark.parametrize(
    "cell",
    [
        'import os\nkey = open(password=os.environ["PASSWORD"])',
        'key = open(password="", token=None)',
        'key = open(secret_name="shop/db", token_url="https://host/token")',
        'key = "postgres://db/shop"',
        'key = {"keyboard": "de", "tokenizer": "bpe"}',
        'key = {}.get("token", "none")',
        'key = "sk-learn is a library of many things"',
        'key = "ssh://git@host/x"',
        'user = word = "me"\nkey = f"postgres://{user}:{word}@db/shop?token={user}"',
        'key = "https://host/x?token=&page=2"',
        'tokens = ["the", "cat", "sentence"]\nkey = tokens',
        'key = "SELECT id FROM t WHERE token=1"',
        'key = login = ("user", "name", 3)[0:1]',
        'key = "Bearer of news" + "Basic rules"',
    ],
)
def test_what_is_no_secret(tmp_path, cell):
    text, report = exported(tmp_path, LOAD, NUMBERS, cell, f"{DOUBLE} + len(str(key))")
    assert "key = " in text
    assert report.secrets == ()


def test_a_secret_in_what_stays_behind_is_in_no_report(tmp_path):
    cells = ('password = "hunter2"', "!curl --token s3cret -H 'Authorization: Bearer abc123'")
    _, report = exported(tmp_path, *PLAIN, *cells, "%env API_KEY=xyz789")
    told = str(report.left_out)
    for value in ("hunter2", "s3cret", "abc123", "xyz789"):
        assert value not in written(tmp_path) + told
    assert 'password = "****"' in told


def test_the_same_value_elsewhere_is_found(tmp_path):
    cell = 'password = "hunter2"  # hunter2 it was\n# and hunter2\nagain = "hunter2"'
    text, report = exported(tmp_path, LOAD, NUMBERS, cell, f"{DOUBLE} + len(password + again)")
    assert text.count('os.environ["PASSWORD"]') == 2
    assert 'password = os.environ["PASSWORD"]  # **** it was' in text
    assert "# and ****\n" in text
    assert report.secrets == ("PASSWORD",)
    assert "hunter2" not in written(tmp_path)


def test_two_values_have_two_names(tmp_path):
    cell = 'key = [open(password="hunter2"), open(password="hunter3"), open(password="hunter2")]'
    text, report = exported(tmp_path, LOAD, NUMBERS, cell, f"{DOUBLE} + len(key)")
    assert report.secrets == ("PASSWORD", "PASSWORD_2")
    assert text.count('os.environ["PASSWORD"]') == 2


def test_a_secret_inside_of_another_text_is_refused(tmp_path):
    cells = (
        'host = "db"\nkey = f"postgres://me:hunter2@{host}/shop"',
        'password = "sesame1"\nlink = "say sesame1 to enter"',
    )
    use = f"{DOUBLE} + len(key + password + link)"
    with pytest.raises(UsageError) as refused:
        exported(tmp_path / "shop", LOAD, NUMBERS, *cells, use)
    message = str(refused.value)
    assert "cell [3] line 2: a text that looks like a secret is part of another one" in message
    assert "cell [4] line 2: the value of PASSWORD stands here once more" in message
    assert "hunter2" not in message
    assert "sesame1" not in message
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize(
    "cell",
    [
        'password = "hunter2" + "again"',
        'user = "me"\npassword = f"postgres://{user}:hunter2@{user}/shop"',
        'password = f"https://host/{1}?token=hunter2"',
    ],
)
def test_a_secret_in_pieces_is_refused(tmp_path, cell):
    with pytest.raises(UsageError) as refused:
        exported(tmp_path / "shop", LOAD, NUMBERS, cell, f"{DOUBLE} + len(password)")
    message = str(refused.value)
    assert f"cell [3] line {cell.count(chr(10)) + 1}: a text that looks like a secret" in message
    assert "hunter2" not in message
    assert not (tmp_path / "shop").exists()


def test_os_of_another_meaning(tmp_path):
    cell = 'os = "linux"\ntoken = "abc123"'
    text, _ = exported(tmp_path, LOAD, NUMBERS, cell, f"{DOUBLE} + len(os + token)")
    assert "import os as _os\n" in text
    assert 'token = _os.environ["TOKEN"]' in text


def test_a_secret_of_a_module_beside_is_in_no_comment_of_the_cells(tmp_path, monkeypatch):
    (tmp_path / "helpers.py").write_text("PASSWORD = 'hunter2'\n")
    monkeypatch.chdir(tmp_path)
    cell = "import helpers\nuser = helpers.PASSWORD  # it is hunter2"
    text, report = exported(tmp_path / "shop", LOAD, NUMBERS, cell, f"{DOUBLE} + len(user)")
    assert "user = helpers.PASSWORD  # it is ****" in text
    assert "hunter2" not in written(tmp_path / "shop") + str(report)


def test_a_secret_in_a_heading_a_title_and_a_command(tmp_path):
    cells = (md("# The hunter2\n## Of hunter2"), "%buildflow run --host hunter2")
    keys = 'password = "hunter2"'
    path = saved(tmp_path / "s.ipynb", *cells, LOAD, NUMBERS, keys, f"{DOUBLE} + len(password)")
    main, report = program(path)
    assert '"""The ****."""' in main
    assert "# Of ****\n" in main
    assert report.commands == ("buildflow run --host ****",)
    assert "hunter2" not in written(tmp_path / "shop") + str(report)


def test_a_refusal_names_no_secret(tmp_path):
    cell = "password = 'hunter2'\nimport hunter2"
    with pytest.raises(UsageError) as refused:
        exported(tmp_path / "shop", LOAD, NUMBERS, cell, f"{DOUBLE} + len(password) + hunter2.x")
    assert "no installed package provides '****'" in str(refused.value)
