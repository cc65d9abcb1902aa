"""`buildflow.yaml`: BuildFlow 0.3's schema, plus `cloud: local | real` for each stack.

The file is looked for in the working folder and upwards; without one there is a single implicit
stack `local` on the local cloud. A wrong file is refused with the line and the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from buildflow_nb.core.engine_choice import ENGINES
from buildflow_nb.core.errors import ConfigError, told
from buildflow_nb.core.nearest import cut, nearest, shown
from buildflow_nb.core.primitive import stack_said

if TYPE_CHECKING:
    import yaml

    from buildflow_nb.core.config_section import Section
    from buildflow_nb.core.pricing import Usage
    from buildflow_nb.core.status.thresholds import Thresholds

__all__ = ("FILE_NAME", "CloudProvider", "Config", "Stack", "find_config", "load_config")

FILE_NAME = "buildflow.yaml"
_STACK_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")  # it names files, too
MOST_BYTES = 1 << 20  # a thousand stacks are a tenth of it
MOST_SAID = 200  # letters of what the parser says, which may quote a name
CLOUDS = ("local", "real")
PROVIDERS = ("aws", "azure", "gcp", "local")


@dataclass(frozen=True, slots=True)
class Stack:
    """One place to deploy to; `backend_url` says where Pulumi keeps its state.

    `assumed` tells that the file does not say which cloud it is. `provider` is the stack's own, in
    place of the file's. `engine` and `address` say where its processors work (`engine_choice.py`).
    """

    name: str
    backend_url: str | None = None
    cloud: str = "real"
    assumed: bool = False
    provider: CloudProvider | None = None
    engine: str | None = None
    address: str | None = None

    @property
    def said(self) -> str:
        """Its name, and its cloud."""
        return stack_said(self.name, self.cloud)

    @property
    def caution(self) -> str:
        """What to know before anything runs on it; "" for nothing."""
        if not self.assumed:
            return ""
        return (
            f"stack {self.said}: {FILE_NAME} does not say which cloud it is, so this is the real "
            f"one, with your account; write `cloud: local` below its name to run it on this "
            "machine, or `cloud: real` if it is meant"
        )


@dataclass(frozen=True, slots=True)
class CloudProvider:
    """Defaults for primitives that name no region or project."""

    default: str = "local"
    aws_region: str | None = None
    azure_region: str | None = None
    gcp_project: str | None = None
    gcp_region: str | None = None
    gcp_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """What a project folder says about itself; `written` tells whether there is a file.

    `usage` says how resources are used, by name or by class and id, for what they cost.
    """

    app: str
    folder: Path
    stacks: Mapping[str, Stack]
    default_stack: str
    entry_point: str | None = None
    pulumi_home: str = ".buildflow/pulumi"
    build_ignores: tuple[str, ...] = ()
    provider: CloudProvider = field(default_factory=CloudProvider)
    health: Thresholds | None = None
    usage: Mapping[str, Usage] = field(default_factory=dict)
    written: bool = True

    @classmethod
    def implicit(cls, folder: Path) -> Config:
        """The configuration of a folder without a file."""
        stacks = {"local": Stack("local", cloud="local")}
        return cls(folder.name, folder, stacks, "local", written=False)

    def provider_of(self, stack: Stack) -> CloudProvider:
        """The defaults of a stack: its own, else the file's."""
        return stack.provider or self.provider

    def stack(self, name: str | None) -> Stack:
        """The stack of that name, or the default one.

        Raises:
            ConfigError: there is no such stack.
        """
        wanted = name if name is not None else self.default_stack
        if wanted not in self.stacks:
            known = ", ".join(self.stacks)
            msg = (
                f"no stack {cut(wanted)!r}; {FILE_NAME} has: {known}{nearest(wanted, self.stacks)}"
            )
            raise ConfigError(msg)
        return self.stacks[wanted]


def find_config(folder: Path) -> Config:
    """The configuration that applies to a folder: its own, a parent's, or the implicit one.

    Raises:
        ConfigError: the nearest file cannot be read, or is wrong; names line and key.
    """
    for place in (folder, *folder.parents):
        path = place / FILE_NAME
        if _is_there(path):
            return load_config(path)
    return Config.implicit(folder)


def load_config(path: Path) -> Config:
    """Read and check a file.

    Raises:
        ConfigError: it is no YAML, or a key or a value is wrong; names line and key.
    """
    from buildflow_nb.core.config_section import Section

    root = _composed(path.name, _text(path))
    if root is None:
        msg = f"{path.name} line 1: the file is empty; it needs at least 'app: NAME'"
        raise ConfigError(msg)
    return _config(Section(path, "", root), path.parent)


def _is_there(path: Path) -> bool:
    """Whether there is anything of that name, were it a folder; what is hidden from us is not."""
    try:
        return path.exists()
    except OSError:
        return False


def _text(path: Path) -> str:
    """The file's text, a bounded part of it: it may be a device, or somebody's data."""
    try:
        if path.exists() and not path.is_file():
            msg = f"{path}: is no file; move it away, or give the project another folder"
            raise ConfigError(msg)
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            msg = f"{path}: is longer than {MOST_BYTES:,} bytes; is it a configuration?"
            raise ConfigError(msg)
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read: {told(error)}"
        raise ConfigError(msg) from error


def _composed(name: str, text: str) -> yaml.Node | None:
    """The nodes of a text; every fault of the parser is told with its line."""
    import yaml
    from yaml.reader import ReaderError

    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        why = shown(error.problem or error.context or "", MOST_SAID)
        msg = f"{name} line {line}: not YAML: {why}"
        raise ConfigError(msg) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character U+{ord(text[error.position]):04X} is not allowed"
        msg = f"{name} line {line}: not YAML: {what}; remove it"
        raise ConfigError(msg) from error
    except RecursionError as error:
        msg = f"{name}: not a configuration: its lists or mappings are nested too deeply"
        raise ConfigError(msg) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # of a tag, an odd escape
        msg = f"{name}: not YAML: {shown(told(error), MOST_SAID)}"
        raise ConfigError(msg) from error


def _config(root: Section, folder: Path) -> Config:
    app = root.text("app") or root.text("project")
    if app is None:
        raise root.wrong(root.node, "is missing", "app")
    entry_point = root.text("entry_point")
    ignores = root.texts("build_ignores")
    pulumi = root.section("pulumi_config")
    stacks: dict[str, Stack] = {}
    default, home = None, None
    if pulumi is not None:
        for stack in pulumi.items("stacks", _stack):
            if stack.name in stacks:
                what = f"names two stacks {cut(stack.name)!r}; give one another name"
                raise pulumi.wrong(pulumi.node, what, "pulumi_config.stacks")
            stacks[stack.name] = stack
        default = pulumi.text("default_stack")
        home = pulumi.text("pulumi_home")
        if default is not None and stacks and default not in stacks:
            what = f"names no stack of the file{nearest(default, stacks)}"
            raise pulumi.wrong(pulumi.node, what, "pulumi_config.default_stack")
        pulumi.done()
    provider = root.section("cloud_provider_config")
    health = root.section("health")
    usage = root.section("usage")
    root.text("project")
    made = CloudProvider() if provider is None else _provider(provider)
    root.done()
    stacks = stacks or {"local": Stack("local", cloud="local")}
    return Config(
        app=app,
        folder=folder,
        stacks=stacks,
        default_stack=default or next(iter(stacks)),
        entry_point=entry_point,
        pulumi_home=home or ".buildflow/pulumi",
        build_ignores=ignores,
        provider=made,
        health=None if health is None else _health(health),
        usage={} if usage is None else _usage(usage),
    )


def _stack(section: Section) -> Stack:
    name = section.text("name", required=True) or ""
    if not _STACK_NAME.fullmatch(name):
        what = f"has letters, digits, '-', '_' and '.' alone, got {cut(name)!r}"
        raise section.wrong(section.node, what, section.key("name"))
    backend = section.text("backend_url")
    cloud = section.choice("cloud", CLOUDS, "")
    own = section.section("cloud_provider_config")
    engine = section.choice("engine", ENGINES, "") or None
    address = section.text("address")
    section.done()
    provider = None if own is None else _provider(own)
    return Stack(name, backend, cloud or "real", not cloud, provider, engine, address)


def _usage(section: Section) -> dict[str, Usage]:
    from buildflow_nb.core.pricing import USAGE_WORDS, Usage

    found: dict[str, Usage] = {}
    for name, inner in section.sections().items():
        found[name] = Usage(**{word: inner.number(word, least=0) for word in USAGE_WORDS})
        inner.done()
    return found


def _health(section: Section) -> Thresholds:
    from buildflow_nb.core.status.thresholds import FAILED_SHARE, Thresholds

    share = section.number("failed_share", least=0, most=1)
    backlog = section.number("backlog", least=0)
    p99_s = section.number("p99_s", least=0)
    silence_s = section.number("silence_s", least=1)
    section.done()
    chosen = FAILED_SHARE if share is None else share
    return Thresholds(chosen, None if backlog is None else int(backlog), p99_s, silence_s)


def _provider(section: Section) -> CloudProvider:
    default = section.choice("default_cloud_provider", PROVIDERS, "local")
    found: dict[str, dict[str, str | None]] = {}
    wanted = {
        "aws_options": ("default_region",),
        "azure_options": ("default_region",),
        "gcp_options": ("default_project_id", "default_region", "default_zone"),
        "local_options": (),
    }
    for name, keys in wanted.items():
        inner = section.section(name)
        found[name] = {key: inner.text(key) for key in keys} if inner is not None else {}
        if inner is not None:
            inner.done()
    section.done()
    return CloudProvider(
        default=default,
        aws_region=found["aws_options"].get("default_region"),
        azure_region=found["azure_options"].get("default_region"),
        gcp_project=found["gcp_options"].get("default_project_id"),
        gcp_region=found["gcp_options"].get("default_region"),
        gcp_zone=found["gcp_options"].get("default_zone"),
    )
