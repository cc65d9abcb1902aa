"""Secrets that texts of a notebook tell, and those that stand where one is likely."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.secrets.sayings import told_in
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, exported, written

WORD = "Zq9hunter2Xk81vvLm3"
TOLD = [
    "def key():\n    '''password: {0}'''",
    "def key():\n    '''Log in.\n\n    uses token={0}\n    '''",
    "class key:\n    '''the pw for the db is {0}'''",
    "key = '''password={0}'''",
    'key = \'{{"password": "{0}"}}\'',
    'key = b\'{{"token": "{0}"}}\'',
    'key = \'{{"db": [{{"password": "correct horse"}}]}}\'',
    "key = '''\ndb:\n  password: {0}\n'''",
    "key = '''[db]\npassword = {0}\n'''",
    "key = '''API_KEY={0}\n'''",
    "key = '''export FERNET_KEY={0}\n'''",
    "key = 1  # the password is {0}",
    "# das Passwort lautet {0}\nkey = 1",
    "# token -> {0}\nkey = 1",
]
LIKELY = [
    "key = {{}}.get('password', '{0}')",
    "key = {{}}.pop('api_token', '{0}')",
    "key = os.environ.get('API_TOKEN') or '{0}'",
    "key = getattr(os, 'password', '{0}')",
    "key = [('password', '{0}')]",
    "key = dict([('X-Api-Key', '{0}')])",
    "def password():\n    return '{0}'\nkey = password()",
    "class key:\n    @property\n    def password(self): return '{0}'",
    "def key(token): return token == '{0}'",
    "def key(token): return token in ('a', '{0}')",
    "def key(x): return x.get('password') != '{0}'",
    "def key(x): return hmac.compare_digest(x, '{0}')",
    "key = hmac.new(b'{0}', b'x', 'sha1')",
    "key = [token for token in ['{0}']]",
    "for token in ['{0}']:\n    key = token",
    "def key(x):\n    match x:\n        case 'password':\n            return '{0}'",
    "def key(x):\n    if x == 'password':\n        return '{0}'",
    "passwort = '{0}'\nkey = passwort",
    "KEY = '{0}'\nkey = KEY",
    "key = dict(fernet_key='{0}')",
    "key = {{'name': 'PASSWORD', 'value': '{0}'}}",
    "def key(token): return token.startswith('{0}')",
    "word = '{0}'\nkey = f'password={{word}}'",
    "word = '{0}'\nkey = 'password=%s' % word",
    "word = '{0}'\nkey = '{{{{\"token\": \"{{}}\"}}}}'.format(word)",
]
HARMLESS = [
    "def key():\n    '''Needs a password: at least 8 characters, hashed by argon2id.'''",
    "def key(token):\n    '''token: base64 of the sha256, see s3://tokens/v2'''",
    "def key():\n    '''password=os.environ1 is read; token = get_token1() too'''",
    "key = 'SELECT * FROM t WHERE token = :token1 AND pass = 1'",
    'key = \'{"token": {"type": "string64"}, "password": null}\'',
    "key = '''host: db1\nport: 5432\nregion: eu-west-1\n'''",
    "key = 'password: ' + str(1)",
    "key = {}.get('token', 'none')",
    "def key(token): return token == 'number' or token in ('end', 'begin')",
    "key = [('token', 'VARCHAR2'), ('password', 'string')]",
    "def key(text): return [token for token in ['the', 'cat']]",
    "def token_kind(text): return 'word2vec'\nkey = token_kind('')",
    "key = dict(key='orders/2024-01-01/data.csv')",
    "KEY = 'customer_id'\nkey = KEY",
    "key = sorted([1], key=lambda x: -x)",
    "key = 'a token is 2 letters; the password is checked elsewhere'",
]


def outcome(tmp_path, cell):
    use = f"{DOUBLE} + len(str(key))"
    cells = (LOAD, "import os, hmac", NUMBERS, cell.format(WORD), use)
    try:
        text, report = exported(tmp_path / "shop", *cells)
    except UsageError as error:
        assert not (tmp_path / "shop").exists()
        return "", str(error)
    return text, written(tmp_path / "shop") + repr(report)


@pytest.mark.parametrize("cell", TOLD)
def test_a_text_that_tells_a_secret_is_refused_by_cell(tmp_path, cell):
    text, said = outcome(tmp_path, cell)
    assert not text
    assert "cell [4] line " in said
    assert WORD not in said
    assert "correct horse" not in said


@pytest.mark.parametrize("cell", LIKELY)
def test_what_stands_where_a_secret_is_likely_and_looks_like_one(tmp_path, cell):
    text, said = outcome(tmp_path, cell)
    assert "os.environ[" in text
    assert WORD not in said
    compile(text, "main.py", "exec")


def test_a_pattern_is_refused(tmp_path):
    cell = "def key(token):\n    match token:\n        case '{0}':\n            return 1"
    text, said = outcome(tmp_path, cell)
    assert not text
    assert "cell [4] line 3" in said
    assert WORD not in said


@pytest.mark.parametrize("cell", HARMLESS)
def test_what_is_said_about_secrets_stays(tmp_path, cell):
    use = f"{DOUBLE} + len(str(key))"
    text, report = exported(tmp_path / "shop", LOAD, "import os", NUMBERS, cell, use)
    assert report.secrets == ()
    assert "****" not in text


def test_what_is_told_in_code_that_stays_behind_is_in_no_report(tmp_path):
    cells = (f"def other():\n    '''password: {WORD}'''", f"# {WORD} it is\n{NUMBERS}", DOUBLE)
    text, report = exported(tmp_path / "shop", LOAD, *cells)
    assert "# **** it is" in text
    assert WORD not in written(tmp_path / "shop") + repr(report)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("password: hunter2", ["hunter2"]),
        ("the password for the db is hunter2.", ["hunter2"]),
        ("password: hunter2, token = 'abc123x'", ["hunter2", "abc123x"]),
        ("**password**: `hunter2`", ["hunter2"]),
        ("password: short1 token_url: https://host2/x", ["short1"]),
        ("mysql -u bob --password hunter2", ["hunter2"]),
        ("machine h login bob password hunter2", ["hunter2"]),
        ("<password>hunter2</password>", ["hunter2"]),
        ("curl -u bob:hunter2 http://host", ["hunter2"]),
        ("the password (hunter2)", ["hunter2"]),
        ("--token-file word2vec --password-file pass1.txt -u bob:", []),
        ("a token word2vec, <token-type>utf-8<", []),
        ("password=config.password1", []),
        ("token: /run/secrets/token1", []),
    ],
)
def test_lines(line, told):
    assert [secret for _, secret in told_in(line)] == told
