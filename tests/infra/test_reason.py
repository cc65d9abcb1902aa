"""Why operations fail, in the project's own words."""

from __future__ import annotations

import pytest

from buildflow_nb.core.status.operations import Operation
from buildflow_nb.infra.report import reason

PROTECTED = 'resource "urn:x" cannot be deleted\nbecause it is protected. To unprotect it, ...'


@pytest.mark.parametrize(
    ("text", "told", "said"),
    [
        ("error: incorrect passphrase", "", "made with another passphrase; set PULUMI_CONFIG"),
        (
            "\n code: -9\n stdout: \n stderr: ",
            "",
            "the engine was killed (signal 9); what was done",
        ),
        ("", "aws plugin did not begin responding to RPC connections", "apply again starts it"),
        ("", PROTECTED, "apply with FlowOptions(enable_destroy_protection=False) first"),
        ("", "no shelf\nTraceback", "no shelf"),
        ("something odd at the end", "", "the engine failed: something odd at the end"),
    ],
)
def test_known_and_unknown_words(text, told, said):
    found = reason(text, told, "local", Operation.APPLY)
    assert said in found
    assert "\n" not in found
