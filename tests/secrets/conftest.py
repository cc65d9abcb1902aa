"""What tests of a flow share: a flow in a folder of its own, stopped at the end."""

from __future__ import annotations

import pytest

from buildflow_nb import Flow


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow = Flow("test")
    yield flow
    if flow.handle is not None:
        flow.handle.stop(drain=False, timeout=1)
