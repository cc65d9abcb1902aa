"""What the tests of the command line share."""

from __future__ import annotations

import pytest

from tests.cli.typed import Here, Typed


@pytest.fixture
def terminal(tmp_path):
    """A person in an empty project folder."""
    typed = Typed(tmp_path)
    yield typed
    typed.close()


@pytest.fixture
def here(tmp_path):
    """The same person, whose commands run in the test's process."""
    return Here(tmp_path)
