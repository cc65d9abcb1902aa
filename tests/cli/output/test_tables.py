"""What a terminal shows in colours says what the plain lines say."""

from __future__ import annotations

import io

from rich.console import Console

from buildflow_nb.cli.output.tables import findings_table, state_tree
from buildflow_nb.core.findings import Finding, Health
from tests.cli.typed import in_a_terminal

STATE = {
    "flow_id": "shop",
    "stack": "local",
    "python_version": "3.11",
    "buildflow_version": "0.1.0",
    "processor_group_states": [
        {
            "processor_group_id": "price",
            "processor_group_type": "consumer",
            "group_info": {},
            "processor_states": [
                {
                    "processor_id": "price",
                    "processor_type": "consumer",
                    "processor_info": {"source_id": "[orders]", "sink_id": None},
                }
            ],
        },
        {
            "processor_group_id": "api",
            "processor_group_type": "service",
            "group_info": {"base_route": "/api"},
            "processor_states": [
                {
                    "processor_id": "hello",
                    "processor_type": "endpoint",
                    "processor_info": {"route": "/hello", "method": "GET"},
                }
            ],
        },
    ],
    "primitive_states": [
        {
            "primitive_id": "[orders]",
            "primitive_name": "SQSQueue",
            "primitive_type": "aws",
            "managed": True,
            "resource_url": None,
            "primitive_dependencies": [],
        }
    ],
}


def shown(renderable):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(renderable)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_state_is_a_tree():
    assert shown(state_tree(STATE)) == [
        "flow 'shop' on stack 'local'  (Python 3.11, buildflow_nb 0.1.0)",
        "├── processors",
        "│   ├── consumer price  [orders] -> -",
        "│   └── service api  /api",
        "│       └── endpoint hello  GET /hello",
        "└── primitives",
        "    └── SQSQueue [orders]  on aws; managed",
    ]


def test_findings_are_a_table_with_their_cures():
    found = [
        Finding("disk", Health.OK, "1 GB [free]"),
        Finding("queue", Health.ERROR, "is not there", "`%buildflow apply`"),
    ]
    assert shown(findings_table(found)) == [
        "✓ ok     disk   1 GB [free]",
        "✕ error  queue  is not there",
        "                → `buildflow apply`",
        "1 ok, 1 error",
    ]


def test_a_terminal_gets_them_and_a_pipe_does_not(terminal):
    terminal.file(
        "main.py",
        "from buildflow import Flow\nfrom buildflow.io.local import Empty, Pulse\n"
        "app = Flow()\n@app.consumer(Pulse([1], 1), Empty())\ndef fine(x: int) -> int: return x\n",
    )
    for words in (("inspect",), ("check",)):
        code, said = in_a_terminal(terminal.folder, *words)
        assert (code, "\x1b[" in said) == (0, True)
        plain = terminal(*words).stdout
        assert "fine" in said
        assert "fine" in plain
        assert not set("│└\x1b") & set(plain)
