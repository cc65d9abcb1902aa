"""What is written twice so that it need not be loaded is the same."""

from buildflow_nb.cockpit.panel import view_state
from buildflow_nb.commands.table import COMMANDS
from buildflow_nb.core.status.history import SPANS


def test_spans_of_the_line_are_those_of_charts():
    (span,) = (option for option in COMMANDS["chart"].options if option.name == "span")
    assert span.choices == tuple(SPANS) == view_state.SPANS
