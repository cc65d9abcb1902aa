"""An IPython shell inside the test's process, with the extension loaded."""

from types import SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config


class Cells:
    """Runs cells and says what came out."""

    def __init__(self, shell):
        self.shell = shell

    def __call__(self, code, cell_id=None, **words):
        with capture_output() as out:
            result = self.shell.run_cell(code, store_history=True, cell_id=cell_id, **words)
        return SimpleNamespace(
            ok=result.success,
            error=result.error_in_exec or result.error_before_exec,
            value=result.result,
            text=out.stdout,
            bundles=[output.data for output in out.outputs],
        )

    @property
    def names(self):
        return self.shell.user_ns

    @property
    def app(self):
        return self.names["app"]


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """Cells of a shell without the extension."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config, colors="nocolor")
    yield Cells(shell)
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


@pytest.fixture
def cells(bare):
    """Cells of a shell with the extension; a source `numbers` and a list `seen` are at hand."""
    bare.shell.extension_manager.load_extension("buildflow_nb")
    bare("from buildflow_nb.io.local.pulse import Pulse; seen = []")
    bare("numbers = Pulse(range(3), 0.001)")
    yield bare
    bare.shell.extension_manager.unload_extension("buildflow_nb")
