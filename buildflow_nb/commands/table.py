"""The subcommands of `%buildflow`, one table for line magics, the command line and completion."""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.commands.command import Command, Option, count, port, seconds
from buildflow_nb.commands.panel_options import PANEL_OPTIONS
from buildflow_nb.core.engine_choice import ENGINES
from buildflow_nb.core.nearest import LOG_LEVELS

__all__ = ("COMMANDS",)


def _processor(help_: str, many: str | None = None) -> Option:
    return Option("id", help_, many=many, wants="processor")


def _resource(help_: str, many: str | None = "+") -> Option:
    return Option("name", help_, many=many, wants="resource")


_STACK = Option("stack", "another stack of buildflow.yaml", ("--stack",), wants="stack")
_TIMEOUT = Option("timeout", "give up after this long", ("--timeout",), seconds)

_SPANS = ("10m", "1h", "24h")  # as core/status/history.py has them, which is not loaded for this
_YES = Option("yes", "do not ask", ("--yes", "-y"), flag=True)
_DELETE = Option(
    "delete",
    "delete without confirmation also what others applied, or more than is created",
    ("--delete",),
    flag=True,
)
_VERBOSE = Option(
    "verbose", "when it fails, show all that the engine said", ("--verbose",), flag=True
)

_TABLE = (
    Command(
        "panel",
        "show the flow as a graph, with buttons and the live numbers; %buildflow alone does too; "
        "options say what is open in it",
        PANEL_OPTIONS,
        example="panel --open price --tab failures",
    ),
    Command(
        "run",
        "start the flow and show the live panel; --until waits until it is so, --duration and "
        "--count bound the run",
        (
            Option("host", "address to serve routes on", ("--host",), default="127.0.0.1"),
            Option("port", "port to serve routes on", ("--port",), port, 8000),
            Option(
                "engine",
                "where processors work: in this process, or in replicas on Ray",
                ("--engine",),
                choices=ENGINES,
            ),
            Option(
                "address",
                "a Ray cluster: auto, or host:6379; without one a Ray is started here",
                ("--address",),
            ),
            Option("until", "wait until nothing is left to do", ("--until",), choices=("drained",)),
            Option("duration", "run for this long, then stop", ("--duration",), seconds),
            Option("count", "run until N elements went through, then stop", ("--count",), count),
            _TIMEOUT,
        ),
        example="run --until drained --timeout 5m",
    ),
    Command(
        "stop",
        "drain and stop the flow, or some of its processors",
        (
            Option("ids", "processors to stop; none means all", many="*", wants="processor"),
            Option("no_drain", "do not finish what is in flight", ("--no-drain",), flag=True),
            Option("timeout", "time to drain", ("--timeout",), seconds, 30.0),
            Option("flow", "a flow that app no longer is, and that still runs", ("--flow",)),
        ),
        example="stop price --timeout 10s",
    ),
    Command(
        "open",
        "serve the panel as a page of its own, for any browser of this machine, and show its link",
        (Option("port", "its port; any free one otherwise", ("--port",), port, 0),),
        example="open",
    ),
    Command(
        "cancel",
        "end the change of cloud resources that is under way, after its step",
        (Option("now", "at once, in the middle of a step", ("--now",), flag=True),),
        example="cancel",
    ),
    Command(
        "status",
        "show states and numbers of all processors, and the cloud resources of the stack",
        (_STACK,),
        example="status",
    ),
    Command(
        "start",
        "start processors of the run that were stopped or have failed",
        (Option("ids", "processors to start; none means all", many="*", wants="processor"),),
        example="start price",
    ),
    Command(
        "check",
        "look at every connection, credential, type and version, and say how to mend what is "
        "wrong; nothing is consumed",
        (Option("ids", "processors to check; none means all", many="*", wants="processor"),),
        example="check",
    ),
    Command("list", "show what is declared: kinds, sources, sinks, routes", example="list"),
    Command(
        "remove",
        "take processors out of the flow",
        (Option("ids", "processors to remove", many="+", wants="processor"),),
        example="remove price",
    ),
    Command(
        "unmanage",
        "manage cloud resources no longer: the next apply deletes them",
        (Option("ids", "primitives, by id or by class and id", many="+", wants="managed"),),
        example="unmanage orders",
    ),
    Command(
        "send",
        "run one element through the real function and show what it returns; without an element, "
        "a form to fill in",
        (_processor("processor to send to"),),
        rest="element",
        bare=True,
        example='send price {"id": 1, "qty": 2}',
    ),
    Command(
        "peek",
        "show the last elements that went through a processor",
        (
            _processor("processor to look into"),
            Option("n", "how many", ("-n", "--count"), count, 20),
        ),
        example="peek price -n 5",
    ),
    Command(
        "failures",
        "show the elements that failed, and why",
        (
            _processor("one processor; none means all", "?"),
            Option("traceback", "show failure number N in full", ("--traceback",), count),
            Option("number", "only failure number N", ("--number",), count),
            Option("type", "only errors of this type", ("--type",)),
            Option("at", 'only errors raised there, like "cell [5] line 4"', ("--at",)),
            Option(
                "attempt",
                "try the last one with the code of now, write nothing",
                ("--try",),
                flag=True,
            ),
            Option("retry", "send them again, to the sink too", ("--retry",), flag=True),
            Option("discard", "forget them", ("--discard",), flag=True),
        ),
        example="failures price --traceback 3",
    ),
    Command(
        "tap",
        "show what passed a processor lately, as a DataFrame",
        (
            _processor("processor to look into"),
            Option("n", "how many rows", ("-n", "--count"), count, 1_000),
            Option("edge", "before or after it", ("--edge",), default="out", choices=("in", "out")),
        ),
        example="tap price -n 1000",
    ),
    Command(
        "record",
        "keep the next inputs of a processor in a file",
        (
            _processor("processor to record"),
            Option("count", "how many inputs", parse=count, default=100, many="?"),
            Option("to", "file to write; one in .buildflow/recordings otherwise", ("--to",)),
            Option("timeout", "give up after this long", ("--timeout",), seconds, 60.0),
            Option(
                "end", "end the recording that is under way, with what came", ("--end",), flag=True
            ),
        ),
        example="record price 100",
    ),
    Command(
        "replay",
        "run the code of this moment on recorded inputs, and show old and new outputs side by side",
        (
            _processor("processor to replay"),
            Option("file", "a recording; the latest one of the processor otherwise", many="?"),
        ),
        example="replay price price.jsonl",
    ),
    Command(
        "look",
        "look into a queue, a topic, a bucket, a table or a file: how much is there, and what; "
        "nothing is taken out; without a name, list what there is",
        (
            _resource("id, or class and id", "*"),
            Option("prefix", "of a bucket, names that begin with this", ("--prefix",), default=""),
            Option("object", "of a bucket, an object to look into", ("--object",), default=""),
            Option("rows", "how many rows, messages or names", ("--rows",), count, 20),
            Option("page", "the page after this one", ("--page",), default=""),
            Option(
                "peek",
                "receive messages and give them back at once, where nothing else shows them",
                ("--peek",),
                flag=True,
            ),
            Option("count", "count all objects, within --timeout", ("--count",), flag=True),
            Option("download", "write --object to a file", ("--download",), flag=True),
            Option("to", "the file to write; named as the object otherwise", ("--to",)),
            Option("force", "write over a file that is there", ("--force",), flag=True),
            Option("timeout", "give up after this long", ("--timeout",), seconds, 8.0),
            _STACK,
        ),
        example="look orders --rows 5",
    ),
    Command(
        "put",
        "put a message into a queue or a topic: JSON, a Python value or text",
        (Option("name", "the queue or topic", wants="resource"),),
        rest="element",
        example='put orders {"id": 1, "qty": 2}',
    ),
    Command(
        "redrive",
        "take dead letters out, and put what failed back into the source that it came from",
        (
            _resource("what holds the dead letters"),
            Option("to", "another queue or topic that they go to", ("--to",), wants="resource"),
            Option("number", "at most so many", ("--number",), count),
            Option("timeout", "give up after this long", ("--timeout",), seconds, 60.0),
        ),
        example="redrive orders-dead --number 10",
    ),
    Command(
        "purge",
        "delete all messages of a queue or subscription; asks for its name, with how many there "
        "are",
        (
            _resource("the queue or subscription"),
            Option("yes", "its name, typed again, so that nothing is asked", ("--yes",)),
        ),
        example="purge orders-dead --yes orders-dead",
    ),
    Command(
        "logs",
        "show what processors printed and logged",
        (
            _processor("one processor; none means all", "?"),
            Option("n", "how many lines", ("-n", "--lines"), count, 50),
            Option("level", "this level and above", ("--level",), choices=LOG_LEVELS),
            Option("grep", "only lines that hold this text", ("--grep",)),
            Option("to", "write all that is kept into this file", ("--to",)),
        ),
        example="logs price --level WARNING",
    ),
    Command(
        "preview",
        "show what apply would create, change and delete; nothing is touched",
        (_STACK, _VERBOSE),
        example="preview",
    ),
    Command(
        "apply",
        "create and change cloud resources so that they are as declared; asks first",
        (_YES, _DELETE, _STACK, _VERBOSE),
        example="apply --yes",
    ),
    Command(
        "refresh",
        "look at the cloud and note what was changed there; nothing is touched",
        (_STACK, _VERBOSE),
        example="refresh",
    ),
    Command(
        "destroy",
        "delete every cloud resource of the stack; asks first",
        (_YES, _DELETE, _STACK, _VERBOSE),
        example="destroy --yes",
    ),
    Command(
        "cloud",
        "the local cloud of this folder: where it is, start it, stop it, or forget what is in it",
        (
            Option(
                "action",
                "what to do",
                default="status",
                choices=("status", "start", "stop", "reset"),
                many="?",
            ),
        ),
        example="cloud status",
    ),
    Command(
        "export",
        "write the flow as a project that runs by itself, with all that it takes to ship it; of a "
        "saved notebook, of the cells that ran, or of both",
        (
            Option("notebook", "a saved notebook; in a kernel, its own otherwise", many="?"),
            Option("folder", "where to write it"),
            Option("force", "write over what was changed there", ("--force",), flag=True),
            Option(
                "package", "modules in a package, and a thin main.py", ("--package",), flag=True
            ),
        ),
        example="export shop",
    ),
    Command(
        "chart",
        "draw throughput, failures, latency and backlog of a processor over time",
        (
            _processor("processor to look at"),
            Option("span", "how far back", ("--span",), default="10m", choices=_SPANS),
        ),
        example="chart price --span 1h",
    ),
    Command(
        "trace",
        "show the way of one element through the flow: where its time went, its log lines and "
        "what it became; of a processor, list the last ones",
        (
            Option(
                "which",
                "the id of a trace (6 digits will do), the number of a failure, or a processor",
                many="?",
                wants="processor",
            ),
            Option("failed", "only elements that failed there", ("--failed",), flag=True),
            Option("failure", "the one that ended as failure N", ("--failure",), count),
            Option("n", "how many", ("-n", "--count"), count, 20),
        ),
        example="trace price --failed",
    ),
    Command(
        "profile",
        "show where the time of a processor's elements went in the last minute",
        (_processor("processor to look at"),),
        example="profile price",
    ),
    Command(
        "history",
        "show the lines that the clicks in the panel stand for",
        (Option("cell", "put them into a new cell", ("--cell",), flag=True),),
        example="history --cell",
    ),
    Command(
        "doctor",
        "look at versions, widgets, the engine, credentials, ports and locks, and say how to mend "
        "what is wrong",
        example="doctor",
    ),
    Command(
        "nest_asyncio",
        "patch the kernel's event loop so that asyncio.run works in cells; risky, rarely needed",
        example="nest_asyncio",
    ),
    Command(
        "help",
        "explain a subcommand, a kind of processor, or errors",
        (Option("topic", "a subcommand, a kind, or errors", many="?", wants="topic"),),
        example="help run",
    ),
)

COMMANDS: Mapping[str, Command] = {command.name: command for command in _TABLE}
