"""One secret, written in every way into one notebook, is found nowhere but where it belongs.

Where it may lie: in the notebook itself (here: what is sent to the kernel), and in what a sink
writes, which is outside of the project here. The state of the stack is in the project, encrypted.
"""

from __future__ import annotations

import json
import threading

import psutil
import pytest

from tests.infra.conftest import ENGINE
from tests.notebook.kernels import Kernel

pytestmark = [pytest.mark.notebook, *ENGINE]

WORD = "hunter2-Zq9!"
OTHER = "sk-" + "a1B2" * 6
LOOKS_S = 0.2
KEEP = "# buildflow: keep\n"  # it comes along in an export, whether or not the flow needs it
SETUP = r"""
%load_ext buildflow_nb
import asyncio, json, logging, os, sys, threading, time, traceback
from dataclasses import dataclass, field
from typing import Annotated
import msgspec
from pydantic import BaseModel, Field, SecretStr
from buildflow_nb import Flow, FlowOptions
from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials, Secret
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.local import File
from buildflow_nb.io.local.pulse import Pulse
def connect(*args, **words): return len(args) + len(words)
def until(so):
    end = time.monotonic() + 30
    while not so():
        assert time.monotonic() < end
        time.sleep(0.02)
"""
# Ways of writing it down; each gives it to something secret by name or type, and must be exported.
TYPED = [
    "options = FlowOptions(aws_access_key_id='{0}', aws_secret_access_key='{0}')",
    "app = Flow(flow_options=options)",
    "key = AWSCredentials('id', '{0}')",
    "more = GCPCredentials(service_account_info=Secret('{0}'))",
    "api_key = '{0}'",
    "plain = '{0}'\nuse = connect(password=plain)",
    "long = f'{{api_key}}-{{plain}}'\nuse2 = connect(password=long)",
    "total = 'a' + plain\nuse3 = connect(password=total)",
    "password = ''\npassword += '{0}'",
    "use4 = connect(password='{{}}'.format('{0}'))",
    "use5 = connect(password=''.join(['{0}']))",
    "pair = ('ann', '{0}')\nuser, word = pair\nuse6 = connect(password=word)",
    "words = {{'db': '{0}'}}\nuse7 = connect(password=words['db'])",
    "use8 = connect(password='{0}' if os.sep else '')",
    "use9 = connect(password=(walrus := '{0}'))",
    "def opened(password='{0}'): return connect(password=password)",
    "secret_str = SecretStr('{0}')",
    "class Settings(BaseModel):\n    key: SecretStr = Field(default=SecretStr('{0}'))",
    "os.environ['DB_PASSWORD'] = '{0}'",
    "url = 'postgres://me:{0}@db/shop'",
    "headers = {{'Authorization': 'Bearer {0}'}}",
]
# What no export may hold, and none can replace.
REFUSED = [
    "# the token {1}\nkeep = 1  # buildflow",
    "keep2 = 1  # {1}",
    'def keep3():\n    """See {1}."""',
    "keep4 = connect(password='x' + '{0}')",
]
TYPES = r"""
@dataclass
class Login:
    user: str
    key: Annotated[str, Secret]
class Model(BaseModel):
    user: str
    key: Annotated[str, Secret]
class Struct(msgspec.Struct):
    user: str
    key: Annotated[str, Secret]
class Boxed(BaseModel):
    user: str
    key: SecretStr
names = ["ann", "bob", "ann"]
logins = Pulse([{"user": u, "key": api_key} for u in names], 0.001)
dead = File(OUT + "/dead.jsonl")
queue = SQSQueue("secret-words")
app.manage(queue)
"""
SAYS = r"""
%%buildflow consumer source=logins, sink=File(OUT + "/{name}.jsonl"), dead_letter=dead, retries=0
{begin}def {name}(u: {kind}) -> {kind}:
    key = u.key if isinstance(u.key, str) else u.key.get_secret_value()
    print(u)
    print("key", key, repr(key), json.dumps(key))
    print(key[:5], end="")
    print(key[5:])
    sys.stderr.write(f"{{u}}\n")
    logging.getLogger("x").warning("login %s", u)
    thread = threading.Thread(target=print, args=(u,))
    thread.start()
    thread.join()
    if u.user == "bob":
        try:
            raise KeyError(key)
        except KeyError as error:
            logging.getLogger("x").exception("no")
            traceback.print_exc()
            raise ValueError(f"no {{u}} {{key}}") from error
    return u
"""
ROUTE = r"""
%%buildflow endpoint route="/in", method="POST"
def route(u: Login, token: Annotated[str, Secret] = "") -> dict:
    print("asked", u, token)
    if u.user == "bob":
        raise LookupError(f"no {u} {token}")
    return {"user": u.user, "length": len(u.key)}
"""
LOOKS = [
    "%buildflow status",
    "%buildflow logs",
    "app.logs()",
    "[app.peek(name) for name in app.processors]",
    "app.failures()",
    "%buildflow failures",
    "[f.traceback for f in app.failures()]",
    "[f.exception for f in app.failures()], [f.error for f in app.failures()]",
    "[f.input for f in app.failures()], [f.original for f in app.failures()]",
    "%buildflow failures login --traceback 1",
    "%buildflow failures --retry",
    "app.failures('login')[0].retry()",
    "app.failures('login')[0].reraise()",
    "app.failures('slow')[0].retry()",
    "app.failures('route')[0].retry()",
    "app.failures('route')[0].reraise()",
    "app.failures('model')[0].retry({'user': 'eve', 'key': api_key})",
    "raise app.failures('struct')[0].exception",
    "app.send('login', {'user': 'bob', 'key': api_key})",
    "%buildflow send login {'user': 'eve', 'key': api_key}",
    "%buildflow send login {'user': 'bob', 'key': api_key}",
    "app.tap('login', 5)",
    "%buildflow tap login --edge in",
    "app, app.config, app.snapshot(), app.flowstate(), app.flowstate().to_dict()",
    "options, key, more, secret_str, Settings()",
    "%buildflow check",
    "%buildflow doctor",
    "%buildflow",
]


def children_of(pid):
    """The words with which the kernel's children were started."""
    try:
        family = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return ""
    found = []
    for child in family:
        try:
            found += child.cmdline()
        except psutil.Error:
            continue
    return "\0".join(found)


class Watch:
    """Looks at the arguments of a kernel's children until it is closed."""

    def __init__(self, pid):
        self.seen = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(pid,))
        self._thread.start()

    def _look(self, pid):
        while not self._over.wait(LOOKS_S):
            self.seen.add(children_of(pid))

    def close(self):
        self._over.set()
        self._thread.join()


def forms(word):
    """How it would be found in bytes."""
    return [form.encode() for form in (word, json.dumps(word)[1:-1], word.replace("!", "%21"))]


def test_one_secret_is_nowhere(tmp_path):
    project, out, config = (tmp_path / name for name in ("project", "out", "ipython"))
    for folder in (project, out, config):
        folder.mkdir()
    kernel = Kernel(project, {"IPYTHONDIR": str(config)})
    watch = Watch(kernel.manager.provisioner.pid)
    said = []
    try:
        say(kernel, said, out)
    finally:
        kernel("%buildflow stop")
        kernel("%buildflow cloud stop")
        kernel.close()
        watch.close()
    found = {cell: repr(told) for cell, *told in said}
    found |= {"strays": repr(kernel.strays), "arguments": repr(watch.seen)}
    assert any("pulumi" in words for words in watch.seen)
    for word in (WORD, OTHER):
        assert [where for where, text in found.items() if word in text] == []
        for path in (p for p in project.rglob("*") if p.is_file()):
            data = path.read_bytes()
            assert not any(form in data for form in forms(word)), path
    assert WORD in (out / "login.jsonl").read_text()  # the sink has it
    assert list(project.glob(".buildflow/recordings/login-*.jsonl"))
    assert list(project.glob(".buildflow/**/*.json*"))  # the state
    assert "os.environ[" in (project / "shop" / "main.py").read_text()


def say(kernel, said, out):
    """Run every cell; all that comes out of it is in `said`."""

    def go(code, *, ok=True):
        end = kernel(code)
        told = (end.text, end.bundles, end.updates, end.traits, end.error)
        said.append(
            (code.replace(WORD, "…").replace(OTHER, "…"), told, getattr(end, "traceback", ""))
        )
        assert end.status == "ok" or not ok, (code, end.error)
        return end

    go(SETUP)
    go(f"OUT = {str(out)!r}")
    for cell in TYPED:
        go(KEEP + cell.format(WORD))
    go(TYPES)
    for name, kind, begin in (
        ("login", "Login", ""),
        ("model", "Model", ""),
        ("struct", "Struct", ""),
        ("boxed", "Boxed", ""),
        ("slow", "Login", "async "),
    ):
        go(SAYS.format(name=name, kind=kind, begin=begin).strip())
    go(ROUTE.strip())
    go("%buildflow preview")
    go("%buildflow apply --yes")
    go("%buildflow run --port 0")
    go("until(lambda: sum(p.failed for p in app.snapshot().processors) >= 5)")
    go(
        "for user in ('ann', 'bob'):\n"
        "    try:\n"
        "        app.client().route(Login(user, api_key), token=api_key)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, error)"
    )
    for look in LOOKS:
        go(look, ok=False)
    go(
        "feed = Pulse(({'user': 'ann', 'key': api_key} for _ in iter(int, 1)), 0.01)\n"
        "%buildflow stop"
    )
    go(SAYS.format(name="login", kind="Login", begin="").strip().replace("logins", "feed"))
    go("%buildflow run --port 0")
    go("%buildflow record login 3")
    go("%buildflow replay login", ok=False)
    go("%buildflow stop")
    go("%buildflow export shop")
    for cell in REFUSED:
        go(KEEP + cell.format(WORD, OTHER))
    refused = go("%buildflow export shop2", ok=False)
    assert refused.error is not None or "stand against" in refused.text
