"""What every primitive has to keep, as test classes to inherit from.

A test module for a primitive makes a class `Test…(SourceContract)` or `Test…(SinkContract)` and
says how to make the primitive; the rest is inherited.
"""

from tests.io.contract_config import ConfigContract
from tests.io.contract_sinks import SinkContract
from tests.io.contract_sources import SourceContract
from tests.io.driving import (
    DEADLINE_S,
    checked,
    drain,
    glanced,
    lying_there,
    pulled,
    pushed,
    run,
)

__all__ = (
    "DEADLINE_S",
    "ConfigContract",
    "SinkContract",
    "SourceContract",
    "checked",
    "drain",
    "glanced",
    "lying_there",
    "pulled",
    "pushed",
    "run",
)
