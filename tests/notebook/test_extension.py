"""Loading and unloading, by listing what is there before and after."""

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from buildflow_nb.flow import Flow
from buildflow_nb.runtime.handle import RunHandle
from tests.notebook.kernels import Kernel

PRICE = "@app.consumer(numbers)\ndef price(x: int) -> int:\n    print('hi')\n    return x\n"


def listed(shell):
    events = shell.events.callbacks
    formatter = shell.display_formatter
    return {
        "line magics": set(shell.magics_manager.magics["line"]),
        "cell magics": set(shell.magics_manager.magics["cell"]),
        "transformers": list(shell.input_transformers_cleanup),
        "matchers": list(shell.Completer.custom_matchers),
        "before": list(events["pre_run_cell"]),
        "after": list(events["post_run_cell"]),
        "bundles": _printers(formatter.mimebundle_formatter),
        "displays": _printers(formatter.ipython_display_formatter),
        "exceptions": shell.custom_exceptions,
        "streams": (sys.stdout, sys.stderr),
        "records": (logging.Logger.callHandlers,),
        "threads": (threading.Thread.start, ThreadPoolExecutor.submit),
        "attributes": {name for name in vars(shell) if "buildflow" in name},
    }


def _printers(formatter):
    return {**formatter.type_printers, **formatter.deferred_printers}


def test_unload_takes_out_what_load_put_in(bare):
    before = listed(bare.shell)
    bare.shell.extension_manager.load_extension("buildflow_nb")
    assert all(listed(bare.shell)[name] != before[name] for name in before)
    bare.shell.extension_manager.unload_extension("buildflow_nb")
    assert listed(bare.shell) == before


def test_loading_again_duplicates_nothing(bare):
    manager = bare.shell.extension_manager
    manager.load_extension("buildflow_nb")
    counts = {name: len(found) for name, found in listed(bare.shell).items()}
    manager.reload_extension("buildflow_nb")
    bare.shell.run_line_magic("load_ext", "buildflow_nb")
    assert {name: len(found) for name, found in listed(bare.shell).items()} == counts
    manager.unload_extension("buildflow_nb")


def test_reload_keeps_the_flow(cells):
    cells(PRICE)
    app = cells.app
    cells.shell.extension_manager.reload_extension("buildflow_nb")
    assert cells.app is app
    assert cells("%buildflow list").ok


def test_unload_drains_what_runs(cells):
    cells(PRICE)
    cells("%buildflow run --port 0")
    handle = cells.app.handle
    cells.shell.extension_manager.unload_extension("buildflow_nb")
    assert not handle.running
    assert not [t for t in threading.enumerate() if t.name == "buildflow dashboards"]
    assert not cells("%buildflow status").ok
    assert not cells("%%buildflow consumer source=numbers\ndef f(x): ...").ok


def test_a_fresh_flow_is_bound_where_the_name_is_free(cells):
    assert isinstance(cells.app, Flow)


def test_a_users_own_flow_is_kept(bare):
    bare("from buildflow_nb import Flow; app = Flow('mine')")
    bare("%load_ext buildflow_nb")
    assert bare.app.flow_id == "mine"
    bare.shell.extension_manager.unload_extension("buildflow_nb")


def test_a_name_used_by_something_else_is_left_and_said_in_one_line(bare):
    bare("app = 3")
    out = bare("%load_ext buildflow_nb")
    assert out.ok
    assert out.text.count("\n") == 1
    assert "app is taken by something else (int)" in out.text
    assert bare.app == 3
    assert "app = Flow()" in str(bare("%buildflow status").error)
    bare("del app")
    assert "is not bound" in str(bare("%buildflow status").error)
    bare("from buildflow_nb import Flow; app = Flow()")
    assert bare("%buildflow status").ok
    bare.shell.extension_manager.unload_extension("buildflow_nb")


def test_flows_runs_and_specs_show_themselves(cells):
    cells(PRICE)
    format_ = cells.shell.display_formatter.format
    for value in (cells.app.snapshot(), cells.app.processors["price"]):
        bundle, _ = format_(value)
        assert set(bundle) == {"text/html", "text/plain"}
        assert "price" in bundle["text/plain"]
    other = cells("from buildflow_nb import Flow\nFlow('other')").bundles
    assert [set(bundle) for bundle in other] == [{"text/html", "text/plain"}]
    assert "other · stack local" in other[0]["text/plain"]
    handle = cells.app.run(block=False, serve_port=0)
    assert isinstance(handle, RunHandle)
    for own in ("app.handle", "app", "%buildflow"):
        out = cells(own)
        assert len(out.bundles) == 1
        assert "price" in out.bundles[0]["text/html"]
        assert "graph of the flow" in out.bundles[0]["text/html"]


HEAVY = (
    "aiohttp",
    "anywidget",
    "duckdb",
    "pandas",
    "pulumi",
    "buildflow_nb.export.exporting",
    "buildflow_nb.infra.operation",
    "buildflow_nb.io",
    "buildflow_nb.cockpit.panel.panel",
    "buildflow_nb.runtime.http",
    "buildflow_nb.runtime.supervisor",
)
MOST = 100  # modules that a kernel has not loaded by itself; 91 when this was written


@pytest.mark.notebook
def test_loading_loads_what_declares_and_no_more(tmp_path):
    """Panel, export, HTTP and clouds are loaded when they are first used."""
    kernel = Kernel(tmp_path)
    try:
        kernel("import sys; before = set(sys.modules)")
        kernel("%load_ext buildflow_nb")
        loaded = kernel("print(*sorted(set(sys.modules) - before))").text.split()
    finally:
        kernel.close()
    assert "buildflow_nb.flow.flow" in loaded
    assert [name for name in loaded if name in HEAVY] == []
    assert len(loaded) <= MOST, loaded
