"""Options of processors, services and flows: frozen data, checked where it is written.

Names, defaults and meanings are BuildFlow 0.3's, plus `retries` and `dead_letter`. Spellings that
its documents use and its code never knew are accepted (`SPELLINGS`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials, Secret
from buildflow_nb.core.engine_choice import ENGINES
from buildflow_nb.core.errors import ConfigError, DeclarationError
from buildflow_nb.core.nearest import LOG_LEVELS, nearest
from buildflow_nb.core.primitive import Writable
from buildflow_nb.core.trace_context import TRACE_SAMPLING

if TYPE_CHECKING:
    from buildflow_nb.core.status.thresholds import Thresholds

__all__ = (
    "LOG_LEVELS",
    "SPELLINGS",
    "CollectorOptions",
    "ConsumerOptions",
    "EndpointOptions",
    "FlowOptions",
    "Options",
    "ServiceOptions",
    "nearest",
    "takes_options",
)

SPELLINGS = {"num_concurrent_tasks": "num_concurrency", "min_replics": "min_replicas"}
DELIVERIES = ("at-least-once", "exactly-once")
MAX_REPLICAS = 1000  # BuildFlow's default ceiling
SMALLEST_SHARE = 0.0001  # of a CPU or GPU, as Ray counts them
MOST_MEMORY = 2**49  # bytes; Ray takes more for less than nothing

_PROCESSES_ONLY = frozenset(
    {
        "num_cpus",
        "num_gpus",
        "memory",
        "consumer_cpu_percent_target",
        "target_num_ongoing_requests_per_replica",
        "log_level",
    }
)
_SCALING = frozenset(
    {
        "enable_autoscaler",
        "min_replicas",
        "max_replicas",
        "autoscale_frequency_secs",
        "consumer_backlog_burn_threshold",
    }
)

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every processor takes. Counts are of replicas, elements and seconds as named.

    `num_cpus`, `num_gpus` and `memory` (bytes, 0 for no demand) are of one replica, and heard where
    replicas are processes. `enable_autoscaler` brings replicas between `min_replicas` and
    `max_replicas`; None does so where replicas are processes, and not where they are threads: one
    thread keeps the order of elements, and no other runs its code meanwhile.
    """

    num_cpus: float = 1.0
    num_gpus: float = 0.0
    memory: int = 0
    enable_autoscaler: bool | None = None
    num_replicas: int = 1
    min_replicas: int = 1
    max_replicas: int = MAX_REPLICAS
    log_level: str = "INFO"

    kept_alone: ClassVar[frozenset[str]] = _PROCESSES_ONLY | _SCALING
    """Those that are of no effect where replicas are threads of one process."""

    at_least: ClassVar[Mapping[str, float]] = {
        "num_cpus": 0,
        "num_gpus": 0,
        "memory": 0,
        "num_replicas": 1,
        "min_replicas": 0,
        "max_replicas": 1,
        "num_concurrency": 1,
        "autoscale_frequency_secs": 1,
        "consumer_backlog_burn_threshold": 1,
        "consumer_cpu_percent_target": 0,
        "max_concurrent_queries": 1,
        "target_num_ongoing_requests_per_replica": 1,
        "retries": 0,
    }

    @classmethod
    def parse(cls, words: Mapping[str, object], owner: str) -> Self:
        """Build from keyword arguments.

        Raises:
            DeclarationError: an unknown name or a value out of range; `owner` opens the message.
        """
        known = {f.name: f for f in fields(cls)}
        words = {SPELLINGS.get(name, name): value for name, value in words.items()}
        for name in words:
            if name not in known:
                msg = f"{owner}: unknown option {name!r}{nearest(name, known)}"
                raise DeclarationError(msg)
        made = cls(**words)  # type: ignore[arg-type]  # each field is checked right below
        made._check(owner)
        return made

    def _check(self, owner: str) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            kind = str(f.type)
            good = {
                "int": isinstance(value, int) and not isinstance(value, bool),
                "float": isinstance(value, (int, float)) and not isinstance(value, bool),
                "bool": isinstance(value, bool),
                "bool | None": value is None or isinstance(value, bool),
            }.get(kind, True)
            if not good:
                msg = f"{owner}: {f.name} must be {kind}, got {value!r}"
                raise DeclarationError(msg)
            low = self.at_least.get(f.name)
            if low is not None and value < low:
                msg = f"{owner}: {f.name} must be at least {low}, got {value!r}"
                raise DeclarationError(msg)
        self._check_amounts(owner)
        delivery = getattr(self, "delivery", DELIVERIES[0])
        if delivery not in DELIVERIES:
            msg = f"{owner}: delivery must be one of {', '.join(DELIVERIES)}, got {delivery!r}"
            raise DeclarationError(msg)
        if self.log_level not in LOG_LEVELS:
            msg = (
                f"{owner}: log_level must be one of {', '.join(LOG_LEVELS)}, got {self.log_level!r}"
            )
            raise DeclarationError(msg)
        if self.max_replicas < self.min_replicas:
            msg = f"{owner}: max_replicas must be at least min_replicas ({self.min_replicas})"
            raise DeclarationError(msg)
        if self.num_replicas < self.min_replicas:
            msg = f"{owner}: num_replicas must be at least min_replicas ({self.min_replicas})"
            raise DeclarationError(msg)

    def _check_amounts(self, owner: str) -> None:
        if not (isfinite(self.num_cpus) and isfinite(self.num_gpus)):
            msg = f"{owner}: num_cpus and num_gpus must be finite numbers"
            raise DeclarationError(msg)
        if self.num_gpus > 1 and self.num_gpus % 1:
            msg = f"{owner}: num_gpus above 1 must be whole, got {self.num_gpus!r}"
            raise DeclarationError(msg)
        if 0 < min(self.num_cpus or 1, self.num_gpus or 1) < SMALLEST_SHARE:
            msg = f"{owner}: num_cpus and num_gpus are 0, or at least {SMALLEST_SHARE}"
            raise DeclarationError(msg)
        if self.memory > MOST_MEMORY:
            msg = f"{owner}: memory is in bytes, and at most {MOST_MEMORY}, got {self.memory}"
            raise DeclarationError(msg)


@dataclass(frozen=True, kw_only=True)
class ConsumerOptions(Options):
    """`num_concurrency` elements of a replica in flight; `retries` after the first try.

    `delivery` is "at-least-once", or "exactly-once" between a source and a sink that can do that.
    A backlog is to be worked off within `consumer_backlog_burn_threshold` seconds; replicas go
    after five times `autoscale_frequency_secs`. `consumer_cpu_percent_target` is BuildFlow's, and
    no sign of anything: code that waits is at its limit at 5 %.
    """

    kept_alone: ClassVar[frozenset[str]] = _PROCESSES_ONLY

    num_concurrency: int = 1
    autoscale_frequency_secs: int = 60
    consumer_backlog_burn_threshold: int = 60
    consumer_cpu_percent_target: int = 25
    retries: int = 2
    dead_letter: Writable | None = None
    delivery: str = DELIVERIES[0]


@dataclass(frozen=True, kw_only=True)
class ServiceOptions(Options):
    """`max_concurrent_queries` requests of a replica at once; more wait."""

    max_concurrent_queries: int = 100
    target_num_ongoing_requests_per_replica: int = 1


@dataclass(frozen=True, kw_only=True)
class CollectorOptions(ServiceOptions):
    """A collector's `retries` are tries of the push after the first."""

    retries: int = 2
    dead_letter: Writable | None = None


@dataclass(frozen=True, kw_only=True)
class EndpointOptions(ServiceOptions):
    """An endpoint declared on the flow itself carries its own service's options."""


def takes_options(options: type[Options]) -> Callable[[F], F]:
    """Show the fields of `options` in the signature of a function that takes `**options`."""

    def show(function: F) -> F:
        signature = inspect.signature(function)
        kept = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        shown = [
            inspect.Parameter(
                f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type
            )
            for f in fields(options)
        ]
        object.__setattr__(function, "__signature__", signature.replace(parameters=kept + shown))
        return function

    return show


_SECRETS = (
    "gcp_service_account_info",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
)
_FLAGS = ("require_confirmation", "enable_destroy_protection", "refresh_state")


@dataclass(frozen=True, kw_only=True)
class FlowOptions:
    """Options of a flow, as in BuildFlow 0.3; credentials are kept as `Secret`.

    `log_level` is another name of `runtime_log_level`. `stack` names a stack of buildflow.yaml.
    `engine` is "process" or "ray", `ray_address` a cluster's ("auto", "host:6379").
    `trace_sampling` is the share of elements that is traced (0..1) beyond the last and the failed
    ones; 0 traces nothing. `health` says from where on the flow is not well, in place of the
    section of buildflow.yaml. `telemetry` sends metrics and traces to a collector of OpenTelemetry,
    or never does; None does where `OTEL_EXPORTER_OTLP_ENDPOINT` or one of its like is set.

    Raises:
        ConfigError: a field has a value of the wrong kind; the message names it.
    """

    runtime_log_level: str = "INFO"
    infra_log_level: str = "INFO"
    gcp_service_account_info: Secret | str | None = None
    aws_access_key_id: Secret | str | None = None
    aws_secret_access_key: Secret | str | None = None
    aws_session_token: Secret | str | None = None
    schema_validation: str = "none"
    require_confirmation: bool = True
    stack: str | None = None
    enable_destroy_protection: bool = False
    refresh_state: bool = True
    engine: str | None = None
    ray_address: str | None = None
    trace_sampling: float = TRACE_SAMPLING
    health: Thresholds | None = None
    telemetry: bool | None = None
    log_level: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.log_level is not None:
            object.__setattr__(self, "runtime_log_level", self.log_level)
        object.__setattr__(self, "log_level", self.runtime_log_level)
        for name in _SECRETS:
            self._hide(name)
        for name in _FLAGS:
            self._demand(name, isinstance(getattr(self, name), bool), "True or False")
        for name in ("runtime_log_level", "infra_log_level"):
            level = getattr(self, name)
            self._demand(name, level in LOG_LEVELS, f"one of {', '.join(LOG_LEVELS)}")
        modes = ("none", "log_warning", "strict")
        self._demand("schema_validation", self.schema_validation in modes, f"one of {modes}")
        good = self.stack is None or (isinstance(self.stack, str) and self.stack != "")
        self._demand("stack", good, "the name of a stack")
        good = self.engine is None or self.engine in ENGINES
        self._demand("engine", good, f"one of {', '.join(ENGINES)}")
        good = self.ray_address is None or isinstance(self.ray_address, str)
        self._demand("ray_address", good, "the address of a Ray cluster")
        share = self.trace_sampling
        good = isinstance(share, (int, float)) and not isinstance(share, bool) and 0 <= share <= 1
        self._demand("trace_sampling", good, "a number from 0 to 1")
        good = self.telemetry is None or isinstance(self.telemetry, bool)
        self._demand("telemetry", good, "True, False or None")
        if self.health is not None:
            from buildflow_nb.core.status.thresholds import Thresholds

            self._demand("health", isinstance(self.health, Thresholds), "Thresholds(...)")
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            msg = "FlowOptions: aws_access_key_id and aws_secret_access_key go together; give both"
            raise ConfigError(msg)

    def _hide(self, name: str) -> None:
        value = getattr(self, name)
        if isinstance(value, str):
            object.__setattr__(self, name, Secret(value))
        elif value is not None and not isinstance(value, Secret):
            msg = f"FlowOptions: {name} must be a str, got {type(value).__name__}"
            raise ConfigError(msg)

    def _demand(self, name: str, good: bool, wanted: str) -> None:
        if not good:
            msg = f"FlowOptions: {name} must be {wanted}, got {getattr(self, name)!r}"
            raise ConfigError(msg)

    @classmethod
    def default(cls) -> Self:
        """The defaults, under the name that BuildFlow gives them."""
        return cls()

    @property
    def aws(self) -> AWSCredentials:
        """The AWS keys, hidden."""
        hidden: list[Any] = [getattr(self, name) for name in _SECRETS[1:]]
        return AWSCredentials(*hidden)

    @property
    def gcp(self) -> GCPCredentials:
        """The service account, hidden."""
        hidden: Any = self.gcp_service_account_info
        return GCPCredentials(hidden)
