"""A secret that is typed into a notebook is in nothing that an export writes or says.

However it is written: it becomes a variable of the environment, or the export is refused by cell.
"""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import UsageError
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, exported, program, saved, written
from tests.export.notebook import text as md

WORD = "correct horse"  # it looks like nothing
TYPES = """from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, NewType
from pydantic import BaseModel, Field, SecretStr
from pydantic import SecretStr as Hidden
from buildflow_nb.core import credentials
from buildflow_nb.core.credentials import AWSCredentials, Secret
def CloudSQLUser(*args): return len(args)
SessionDepBuilder = PostgresTable = ClickhouseTable = SnowflakeTable = CloudSQLUser
import functools, json, base64, os
def connect(*args, **words): return len(args) + len(words)
def login(user, word): return connect(password=word)
class Key(Secret): ...
Alias = Annotated[str, Secret]
@dataclass
class Login:
    user: str
    word: Annotated[str, Secret] = ""
class Holder:
    def __init__(self, word): self.word = word
    def open(self): return connect(password=self.word)
"""
# Each gives something secret the value of WORD, and is replaced by the environment.
REPLACED = [
    "key = Secret('{0}')",
    "key = credentials.Secret('{0}')",
    "key = SecretStr('{0}')",
    "key = Hidden('{0}')",
    "key = Key('{0}')",
    "key: Secret = '{0}'",
    "key: Alias = '{0}'",
    "key: 'Alias | None' = '{0}'",
    "key = connect(gcp_service_account_info='{0}')",
    "word = '{0}'\nkey = connect(gcp_service_account_info=word)",
    "word = '{0}'\nagain = word\nkey = connect(password=again)",
    "word = '{0}'\nkey = connect(aws_secret_access_key=f'{{word}}')",
    "word = '{0}'\nkey = connect(aws_secret_access_key=f'{{word}}/')",
    "password = 'abc'\npassword += '{0}'\nkey = password",
    "word = '{0}'\nkey = connect(password='-' + word)",
    "key = connect(password='{{}}'.format('{0}'))",
    "key = connect(password='-'.join(['a', '{0}']))",
    "key = connect(password='{0}'.strip().encode())",
    "key = connect(password=b'{0}')",
    "key = AWSCredentials('id', '{0}')",
    "key = CloudSQLUser('ada', '{0}', None)",
    "key = ClickhouseTable('d', 't', 'h.example', 'ada', '{0}')",
    "key = SnowflakeTable('t', 'd', 's', None, 'account', 'ada', '{0}')",
    "creds = ('h.example', 'ada', '{0}')\nkey = len(creds)",
    "key = SessionDepBuilder('db', 'ada', '{0}')",
    "key = PostgresTable('t', 'postgresql://me:{0}@db/shop')",
    "key = connect(**{{'password': '{0}'}})",
    "words = {{'password': '{0}'}}\nkey = connect(**words)",
    "words = {{'db': '{0}'}}\nkey = connect(password=words['db'])",
    "words = {{'db': '{0}'}}\nkey = connect(password=words.get('db'))",
    "words = {{}}\nwords['db'] = '{0}'\nkey = connect(password=words['db'])",
    "words = []\nwords.append('{0}')\nkey = connect(password=words[0])",
    "key = connect(password='a' if os.sep else '{0}')",
    "key = connect(password=os.sep and '{0}')",
    "key = connect(password=(word := '{0}'))",
    "user, password = 'ann', '{0}'\nkey = password",
    "user, (*_, password) = 'ann', ('a', '{0}')\nkey = password",
    "pair = 'ann', '{0}'\nuser, word = pair\nkey = connect(password=word)",
    "for word in ['{0}']:\n    key = connect(password=word)",
    "for user, word in {{'ann': '{0}'}}.items():\n    key = connect(password=word)",
    "key = [connect(password=word) for _, word in zip('a', ['{0}'])]",
    "key = functools.partial(connect, password='{0}')()",
    "def key(word='{0}'): return connect(password=word)",
    "def key(*, word: Secret = '{0}'): return word",
    "def key(): return '{0}'\ndef more(): return connect(password=key())",
    "key = login('ann', '{0}')",
    "key = Login('ann', '{0}')",
    "key = Login(user='ann', word='{0}')",
    "key = Holder('{0}').open()",
    "class key(BaseModel):\n    word: SecretStr = Field(default='{0}')",
    "@dataclass\nclass key:\n    word: Alias = field(default_factory=lambda: '{0}')",
    "class Words(Enum):\n    A = '{0}'\nkey = connect(password=Words.A.value)",
    "key = Login('ann')\nkey.word = '{0}'",
    "key = Login('ann')\nsetattr(key, 'password', '{0}')",
    "key = connect(service_account_info=json.dumps({{'private': '{0}'}}))",
    "key = connect(password=base64.b64decode('{0}'))",
    "key = connect(headers={{'X-Api-Key': '{0}'}})",
]
# Nothing can take its place in these.
REFUSED = [
    "key = connect(password='hun' + '{0}')",
    "key = connect(password=f'{{os.sep}}{0}')",
    "key = connect(password='{0}%s' % os.sep)",
    "word = 'abc'\nkey = connect(aws_secret_access_key=f'{{word}}/{0}')",
]
SHAPES = [
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 9,
    "glpat-" + "a1B2" * 5,
    "sk-" + "a1B2" * 6,
    "sk-proj-" + "a1B2" * 6,
    "sk_live_" + "a1B2" * 6,
    "xoxb-" + "1234567890-" * 2 + "a1B2c3",
    "xoxp-" + "1234567890-" * 2 + "a1B2c3",
    "AIza" + "a1B2c" * 7,
    "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".dozjgNryP4J3jVmNHl0w",
    "-----BEGIN RSA PRIVATE" + " KEY-----",
    "postgres://me:hunter2@db/shop",
    "mongodb+srv://me:hunter2@db",
    "https://host/x?token=hunter2",
    "host=db user=me password=hunter2",
    "Server=db;User=me;Password=hunter2;",
    "Bearer a1B2a1B2a1B2a1B2",
]
ABOUT = [
    "# password = 'hunter2'",
    "# app = Flow(aws_secret_access_key='correct horse')",
    "# api_key: abc123xyz",
]


def outcome(tmp_path, *cells):
    """All that an export writes and says, refused or not."""
    try:
        text, report = exported(tmp_path / "shop", *cells)
    except UsageError as error:
        assert not (tmp_path / "shop").exists()
        return "", str(error)
    assert report.secrets
    return text, written(tmp_path / "shop") + repr(report)


@pytest.mark.parametrize("cell", REPLACED)
def test_what_is_given_to_something_secret_is_secret_whatever_it_looks_like(tmp_path, cell):
    cells = (LOAD, TYPES, NUMBERS, cell.format(WORD), f"{DOUBLE} + len(str(key))")
    text, said = outcome(tmp_path, *cells)
    assert "os.environ[" in text
    assert WORD not in said
    compile(text, "main.py", "exec")


@pytest.mark.parametrize("cell", REFUSED)
def test_a_piece_of_a_secret_is_refused_by_cell(tmp_path, cell):
    cells = (LOAD, TYPES, NUMBERS, cell.format(WORD), f"{DOUBLE} + len(str(key))")
    text, said = outcome(tmp_path, *cells)
    assert not text
    assert "cell [4] line" in said
    assert WORD not in said


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize(
    "cells",
    [
        ("# see {0} for more\nkey = 1", DOUBLE),
        ("key = 1  # {0}", DOUBLE),
        ("def key():\n    # {0}\n    return 1", DOUBLE),
        ('def key():\n    """It is {0} so."""', DOUBLE),
        ("key = 1", DOUBLE + "  # {0}"),
        ("key = 1\n# {0}", DOUBLE),
    ],
)
def test_known_shapes_are_refused_in_comments_and_docstrings(tmp_path, cells, secret):
    first, last = (cell.replace("{0}", secret) for cell in cells)
    last = last.replace("return 2 * x", "return 2 * x + len(str(key))")
    text, said = outcome(tmp_path, LOAD, NUMBERS, first, last)
    assert not text
    assert "line" in said
    assert secret not in said
    assert "hunter2" not in said


@pytest.mark.parametrize("secret", SHAPES)
def test_known_shapes_are_refused_in_headings(tmp_path, secret):
    for heading in (f"# About {secret}", f"# Shop\n## Of {secret} and more"):
        path = saved(tmp_path / "s.ipynb", md(heading), LOAD, NUMBERS, DOUBLE)
        with pytest.raises(UsageError, match="heading") as refused:
            program(path)
        assert secret not in str(refused.value)
        assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize("comment", ABOUT)
def test_code_that_is_commented_out_is_refused_too(tmp_path, comment):
    cell = f"{comment}\nkey = 1"
    text, said = outcome(tmp_path, LOAD, NUMBERS, cell, f"{DOUBLE} + key")
    assert not text
    assert "cell [3] line 1: a comment tells what looks like a secret" in said


@pytest.mark.parametrize(
    "cell",
    [
        "# a token is a word; the password is checked elsewhere\nkey = 1",
        "# postgres://user:password@host/db\nkey = 1",
        "# set DB_PASSWORD=... and run; password=None means none\nkey = 1",
        "# see https://docs.host/api?page=2 and sk-learn-is-a-library-of-many-things\nkey = 1",
        "def key(text):\n    'Bearer of news, basic rules.'\n    token = next(iter(text))\n",
        "key = {'type': 'secret', 'keyboard': 'de'}",
        "paths = ['orders.csv']\nkey = [open for p in paths]\ndef more(p): return p",
        "import os\nkey = os.environ['PASSWORD'] + os.getenv('TOKEN')",
        "def get(name): return name.upper()\nkey = {'kind': get('orders')}",
        "import keyring\nkey = keyring.get_password('shop', 'ann')",
        "T = 1\nkey = {'Authorization': f'Bearer {T}', 'Accept': 'text/plain'}",
    ],
)
def test_what_is_no_secret_stays(tmp_path, cell):
    cells = (LOAD, NUMBERS, cell.replace("keyring", "json"), f"{DOUBLE} + len(str(key))")
    text, report = exported(tmp_path / "shop", *cells)
    assert report.secrets == ()
    assert "****" not in text
    for line in cell.split("\n"):
        if line.startswith("#"):
            assert line in text


def test_a_secret_of_what_stays_behind_is_in_no_comment(tmp_path):
    cells = ("password = 's3cret-word'", f"# s3cret-word it is\n{NUMBERS}", DOUBLE)
    text, _ = exported(tmp_path / "shop", LOAD, *cells)
    assert "# **** it is" in text


def test_it_is_followed_into_modules_beside_the_notebook(tmp_path, monkeypatch):
    (tmp_path / "conf.py").write_text(f"WORD = '{WORD}'\nHOST = 'db.example'\n")
    monkeypatch.chdir(tmp_path)
    cell = (
        "import conf\ndef connect(**words): ...\nkey = connect(password=conf.WORD, host=conf.HOST)"
    )
    _, report = exported(tmp_path / "shop", LOAD, NUMBERS, cell, f"{DOUBLE} + len(str(key))")
    said = written(tmp_path / "shop")
    assert WORD not in said
    assert "db.example" in said
    assert report.secrets == ("WORD",)
