import pytest

from buildflow_nb.core.primitive import Wire
from buildflow_nb.io.local.pulse import Pulse
from buildflow_nb.notebook.completion import cell_words, line_words


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
    "x": 3,
}


def offered(asked):
    fragment, words = asked
    return {word for word in words if word.startswith(fragment)}


@pytest.mark.parametrize(
    ("typed", "some", "none"),
    [
        (" ", {"run", "stop", "help"}, {"--port"}),
        (" st", {"stop", "status"}, {"run"}),
        (" run ", {"--port", "--until", "--help"}, {"price"}),
        (" run --po", {"--port"}, {"--host"}),
        (" run --port 1 --", {"--host"}, {"--port"}),
        (" run --until ", {"drained"}, {"--port"}),
        (" logs --level W", {"WARNING"}, {"INFO"}),
        (" peek ", {"price", "worst"}, set()),
        (" stop price ", {"worst", "--no-drain"}, {"price"}),
        (" send pr", {"price"}, {"worst"}),
        (" send price ", set(), {"price", "worst"}),
        (" help ", {"run", "consumer", "errors"}, set()),
        (" nonsense ", set(), {"run"}),
    ],
)
def test_line_magics(typed, some, none):
    found = offered(line_words(typed, ("price", "worst")))
    assert some <= found
    assert not none & found


@pytest.mark.parametrize(
    ("typed", "some", "none"),
    [
        (" ", {"consumer", "collector", "endpoint"}, {"run"}),
        (" con", {"consumer"}, {"collector"}),
        (" consumer ", {"source=", "sink=", "retries=", "numbers"}, {"result", "x", "Pulse"}),
        (" consumer source=", {"numbers"}, {"x", "_hidden", "Pulse", "result"}),
        (" consumer source=numbers, ", {"sink=", "num_concurrency="}, {"source="}),
        (" consumer source=numbers, sink=", {"result"}, {"numbers", "x"}),
        (" consumer source=numbers, dead_letter=r", {"result"}, {"numbers"}),
        (' collector "/c", method=', {'"POST"'}, {"result"}),
        (' collector "/c", ro', {"route="}, set()),
        (" nonsense ", set(), {"source="}),
    ],
)
def test_cell_magics(typed, some, none):
    found = offered(cell_words(typed, NAMES))
    assert some <= found
    assert not none & found


def complete(cells, text):
    found = cells.shell.Completer.completions(text, len(text))
    return {(c.text, text[c.start : c.end]) for c in found}


@pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")
def test_the_kernel_offers_them(cells):
    cells("@app.consumer(numbers)\ndef price(x: int): ...")
    assert ("--port", "--po") in complete(cells, "%buildflow run --po")
    assert ("price", "") in complete(cells, "x = 1\n%buildflow peek ")
    assert ("numbers", "nu") in complete(cells, "%%buildflow consumer source=nu")
    assert not {c for c, _ in complete(cells, "%%buildflow consumer source=") if c == "seen"}
