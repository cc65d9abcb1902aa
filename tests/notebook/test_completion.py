import json
from pathlib import Path

import pytest

from buildflow_nb.commands.magic_syntax import KINDS
from buildflow_nb.commands.parsing import COMMANDS
from buildflow_nb.core.primitive import Wire
from buildflow_nb.io.local.pulse import Pulse
from buildflow_nb.notebook.completion import Scope, cell_words, line_words
from tests.notebook.kernels import DEADLINE_S, Kernel


class Table:
    primitive_id = "table"
    sink_wire = Wire.OBJECT
    max_push = 1
    linger_s = 0.0

    def sink(self, env, element): ...


NAMES = {
    "numbers": Pulse([1], 1),
    "result": Table(),
    "_hidden": Pulse([1], 1),
    "Pulse": Pulse,
    "json": json,
    "loads": json.loads,
    "Path": Path,
    "x": 3,
}
SCOPE = Scope(
    {"price": "consumer", "worst": "endpoint"}, {"local": "local stack", "prod": "real stack"}
)


def offered(asked):
    fragment, offers, _ = asked
    return {offer.text for offer in offers if offer.text.startswith(fragment)}


def types(asked):
    return {offer.text: offer.type for offer in asked[1]}


@pytest.mark.parametrize(
    ("typed", "some", "none"),
    [
        (" ", {"run", "stop", "help"}, {"--port"}),
        (" st", {"stop", "status"}, {"run"}),
        (" -", {"-h", "--help"}, {"run"}),
        (" run ", {"--port", "--until", "--help"}, {"price"}),
        (" run --po", {"--port"}, {"--host"}),
        (" run -", {"-h"}, set()),
        (" run --port 1 --", {"--host"}, {"--port"}),
        (" run --until ", {"drained"}, {"--port"}),
        (" run --until=d", {"drained"}, {"--port"}),
        (" run --port ", set(), {"--host", "price"}),
        (" logs --level W", {"WARNING"}, {"INFO"}),
        (" peek ", {"price", "worst"}, set()),
        (" peek -n 5 ", {"price"}, {"5"}),
        (" peek price ", {"-n"}, {"worst"}),
        (" stop price ", {"worst", "--no-drain"}, {"price"}),
        (" send pr", {"price"}, {"worst"}),
        (" send price ", set(), {"price", "worst"}),
        (" help ", {"run", "consumer", "errors"}, set()),
        (" cloud st", {"status", "start", "stop"}, {"reset"}),
        (" apply --stack ", {"local", "prod"}, {"--yes"}),
        (" status --stack=p", {"prod"}, {"local"}),
        (" check wo", {"worst"}, {"price"}),
        (" nonsense ", set(), {"run"}),
    ],
)
def test_line_magics(typed, some, none):
    found = offered(line_words(typed, SCOPE))
    assert some <= found
    assert not none & found


def test_types_of_the_words_of_a_line():
    assert types(line_words(" ", SCOPE))["run"] == "subcommand"
    run = types(line_words(" run ", SCOPE))
    assert (run["--port"], run["--timeout"], run["--until"]) == ("port", "duration", "drained")
    assert types(line_words(" apply ", SCOPE))["--yes"] == "flag"
    assert types(line_words(" apply ", SCOPE))["--stack"] == "stack"
    assert types(line_words(" peek ", SCOPE))["price"] == "consumer"
    assert types(line_words(" apply --stack ", SCOPE))["prod"] == "real stack"


def test_files_to_replay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recordings = tmp_path / ".buildflow" / "recordings"
    recordings.mkdir(parents=True)
    (recordings / "price.jsonl").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a b.jsonl").touch()
    (tmp_path / "d[1].jsonl").touch()
    scope = Scope(SCOPE.processors, folder=tmp_path)
    first = line_words(" replay price ", scope)
    assert types(first)[".buildflow/recordings/price.jsonl"] == "recording"
    assert types(first)["data/"] == "folder"
    assert ".buildflow/" not in types(first)
    assert offered(line_words(" replay price d", scope)) == {"data/"}
    assert types(line_words(" replay price data/", scope))["'data/a b.jsonl'"] == "path"
    assert "'d[1].jsonl'" in types(line_words(" replay price d[", scope))
    assert offered(line_words(" replay price none/x", scope)) == set()
    assert offered(line_words(" replay price a.jsonl ", scope)) == {"--help"}


@pytest.mark.parametrize(
    ("typed", "some", "none"),
    [
        (" ", {"consumer", "collector", "endpoint"}, {"run"}),
        (" con", {"consumer"}, {"collector"}),
        (" -", {"-h"}, {"consumer"}),
        (" consumer ", {"source=", "sink=", "retries=", "numbers"}, {"result", "x", "Pulse"}),
        (" consumer -", {"-h"}, {"source="}),
        (" consumer source=", {"numbers"}, {"x", "_hidden", "Pulse", "result"}),
        (" consumer source=numbers, ", {"sink=", "num_concurrency="}, {"source="}),
        (" consumer source=numbers, sink=", {"result"}, {"numbers", "x"}),
        (" consumer source=numbers, dead_letter=r", {"result"}, {"numbers"}),
        (" consumer source=numbers, enable_autoscaler=", {"True", "False"}, {"numbers"}),
        (" consumer source=numbers, retries=", set(), {"numbers", "True"}),
        (' collector "/c", method=', {'"POST"'}, {"result"}),
        (' collector "/c", ro', {"route="}, set()),
        (" nonsense ", set(), {"source="}),
        (" consumer source=P", {"Pulse"}, {"numbers", "x", "json", "loads"}),
        (" consumer source=numbers, sink=z", set(), {"result"}),
        (" consumer source=Pulse(", set(), {"source=", "numbers"}),
        (" consumer source=json.", set(), {"source=", "numbers"}),
    ],
)
def test_cell_magics(typed, some, none):
    found = offered(cell_words(typed, NAMES))
    assert some <= found
    assert not none & found


def test_types_of_the_words_of_a_cell():
    found = types(cell_words(" consumer ", NAMES))
    assert found["source="] == "Source"
    assert found["sink="] == found["dead_letter="] == "Sink"
    assert (found["retries="], found["num_cpus="], found["log_level="]) == ("int", "float", "str")
    assert found["numbers"] == "Pulse"
    assert types(cell_words(" consumer sink=", NAMES)) == {"result": "Table"}
    assert types(cell_words(" ", NAMES))["consumer"] == "kind"


def test_where_nothing_fits_come_what_may_lead_to_it():
    names = {name: value for name, value in NAMES.items() if name not in ("numbers", "result")}
    assert types(cell_words(" consumer source=", names)) == {
        "Pulse": "class",
        "json": "module",
        "loads": "function",
    }
    assert types(cell_words(" consumer sink=", names)) == {"json": "module", "loads": "function"}


@pytest.mark.parametrize(
    ("asked", "python"),
    [
        (line_words(" send price ", SCOPE), True),
        (line_words(" record price --to ", SCOPE), False),
        (line_words(" run --host ", SCOPE), False),
        (cell_words(" consumer source=Pulse(", NAMES), True),
        (cell_words(" consumer source=json.", NAMES), True),
        (cell_words(" consumer json.", NAMES), True),
        (cell_words(" consumer source=", NAMES), False),
        (cell_words(" consumer retries=", NAMES), False),
        (cell_words(" consumer retries=le", NAMES), True),
    ],
)
def test_only_python_is_left_to_ipython(asked, python):
    assert asked.python is python


def test_files_to_write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert types(line_words(" record price --to ", SCOPE)) == {"data/": "folder"}
    assert offered(line_words(" export d", SCOPE)) == {"data/"}


def complete(cells, text):
    found = cells.shell.Completer.completions(text, len(text))
    return {(c.text, text[c.start : c.end]) for c in found}


@pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")
class TestShell:
    def test_the_kernel_offers_them(self, cells):
        cells("@app.consumer(numbers)\ndef price(x: int): ...")
        assert ("--port", "--po") in complete(cells, "%buildflow run --po")
        assert ("price", "") in complete(cells, "x = 1\n%buildflow peek ")
        assert ("price", "") in complete(cells, "last, *rest = %buildflow peek ")
        assert ("local", "l") in complete(cells, "%buildflow apply --stack l")
        assert ("numbers", "nu") in complete(cells, "%%buildflow consumer source=nu")
        offers = complete(cells, "%%buildflow consumer source=")
        assert not {c for c, _ in offers if c == "seen"}

    @pytest.mark.parametrize(
        "line",
        [
            "%buildflow record price --to an",
            "%buildflow run --host ",
            "%buildflow nonsense ",
            "%%buildflow consumer sink=",
            "%%buildflow consumer sink=zz",
            "%%buildflow consumer retries=",
        ],
    )
    def test_where_a_word_of_ours_is_asked_for_nobody_else_offers(self, cells, line):
        cells("del Pulse")
        assert complete(cells, line) == set()

    def test_where_nothing_fits_come_the_users_own_callables(self, cells):
        cells("import json; del numbers; Order = dict")
        offers = complete(cells, "%%buildflow consumer source=")
        assert offers == {("Pulse", ""), ("json", "")}

    def test_the_routes_of_a_client(self, cells):
        cells("@app.endpoint('/worst', method='GET')\ndef worst(limit: int) -> int: ...")
        assert ("worst", "") in complete(cells, "app.client().")
        assert complete(cells, "found = app.client().wo") == {("worst", "wo")}
        assert ("worst", "") not in complete(cells, "numbers.client().")

    @pytest.mark.parametrize("text", ["app.", "app.che", "x = app.", "numbers.", "%tim", "len("])
    def test_all_else_is_left_to_ipython(self, cells, text):
        ours = complete(cells, text)
        matchers = cells.shell.Completer.custom_matchers
        kept = list(matchers)
        matchers.clear()
        try:
            assert complete(cells, text) == ours
        finally:
            matchers.extend(kept)
        if text == "app.che":
            assert (".check", ".che") in ours or ("check", "che") in ours

    def test_without_a_flow_the_words_of_the_table_are_there(self, cells):
        cells("del app")
        assert ("--port", "--po") in complete(cells, "%buildflow run --po")
        assert ("numbers", "nu") in complete(cells, "%%buildflow consumer source=nu")


class TestHelp:
    @pytest.mark.parametrize("flag", ["-h", "--help"])
    @pytest.mark.parametrize("name", COMMANDS)
    def test_of_each_subcommand(self, cells, name, flag):
        ran = cells(f"%buildflow {name} {flag}")
        assert ran.ok
        assert ran.text.startswith(f"%buildflow {name}")
        assert f"Like %buildflow {COMMANDS[name].example}" in ran.text

    @pytest.mark.parametrize("flag", ["-h", "--help"])
    @pytest.mark.parametrize("name", KINDS)
    def test_of_each_kind(self, cells, name, flag):
        ran = cells(f"%%buildflow {name} {flag}\ndef f(x): ...")
        assert ran.ok
        assert ran.text.startswith(f"%%buildflow {name}")
        assert not cells.app.processors

    @pytest.mark.parametrize("line", ["%buildflow -h", "%buildflow help", "%%buildflow -h\n"])
    def test_of_all(self, cells, line):
        text = cells(line).text
        for word in (*KINDS, *COMMANDS):
            assert word in text

    def test_the_question_mark_shows_the_manual(self, cells):
        shown = []
        cells.shell.set_hook("show_in_pager", lambda _, data, *a, **k: shown.append(data))
        for line in ("%buildflow?", "%%buildflow?"):
            cells(line)
            text = str(shown.pop())
            for word in (*KINDS, "check", "doctor"):
                assert word in text

    @pytest.mark.parametrize(
        ("line", "hint"),
        [
            ("%buildflow chekk", "did you mean 'check'?"),
            ("%buildflow apply --stak x", "did you mean '--stack'?"),
            ("%buildflow cloud stats", "did you mean 'status'?"),
            ("%buildflow help consumre", "did you mean 'consumer'?"),
            ("%%buildflow consumre source=numbers\ndef f(x): ...", "did you mean 'consumer'?"),
            (
                "%%buildflow consumer source=numbers, retires=1\ndef f(x): ...",
                "did you mean 'retries'?",
            ),
        ],
    )
    def test_a_word_that_is_none_names_the_nearest(self, cells, line, hint):
        error = str(cells(line).error)
        assert hint in error
        assert "\n" not in error


@pytest.mark.notebook
def test_a_real_kernel_tells_words_and_types(tmp_path):
    kernel = Kernel(tmp_path)
    try:
        kernel("%load_ext buildflow_nb\nfrom buildflow_nb.io.local import Pulse, Empty")
        kernel("numbers, sink = Pulse([1], 1), Empty()")
        kernel("@app.consumer(numbers)\ndef price(x: int): ...")

        def ask(code):
            kernel.client.complete(code, len(code))
            content = kernel.client.get_shell_msg(timeout=DEADLINE_S)["content"]
            typed = content["metadata"]["_jupyter_types_experimental"]
            assert content["matches"] == [one["text"] for one in typed]
            start = content["cursor_start"]
            return {one["text"]: one["type"] for one in typed}, code[start:]

        found, fragment = ask("%%buildflow consumer source=numbers, ret")
        assert (found, fragment) == ({"retries=": "int"}, "ret")
        assert ask("%%buildflow consumer source=n") == ({"numbers": "Pulse"}, "n")
        assert ask("%%buildflow consumer source=numbers, sink=") == ({"sink": "Empty"}, "")
        assert ask("%buildflow peek p") == ({"price": "consumer"}, "p")
        assert ask("%buildflow apply --stack ") == ({"local": "local stack"}, "")
        assert "check" in {name.lstrip(".") for name in ask("app.che")[0]}
    finally:
        kernel.close()
