"""The one error tree: every failure a person can mend is a `BuildFlowError`.

A message says what went wrong, which thing it concerns, and how to mend it, in one line,
because magics and the command line show that line and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = (
    "AbsentError",
    "BuildFlowError",
    "CannotShipError",
    "ConfigError",
    "ConversionError",
    "DeclarationError",
    "DeniedError",
    "InfraError",
    "InvalidDependencyHierarchyOrder",
    "PartialPushError",
    "PermanentError",
    "RejectedError",
    "RunError",
    "ServeError",
    "TemporaryError",
    "UnknownNameError",
    "UsageError",
    "told",
)


class BuildFlowError(Exception):
    """Base of every error that this package raises on purpose."""


class DeclarationError(BuildFlowError):
    """A processor, a type or a primitive was declared in a way that cannot run."""


class UnknownNameError(DeclarationError):
    """An annotation names what does not exist, or not yet."""


class InvalidDependencyHierarchyOrder(DeclarationError):  # noqa: N818  (BuildFlow's name)
    """A dependency asks for one that does not live as long as it does.

    `source` is who asks, with the chain that leads there.
    """

    def __init__(
        self, invalid_dep_name: str, invalid_dep_scope: str, source_scope: str, source: str = ""
    ) -> None:
        self.invalid_dep_name = invalid_dep_name
        self.invalid_dep_scope = invalid_dep_scope
        self.source_scope = source_scope
        super().__init__(
            f"a dependency of scope {source_scope} may not use {invalid_dep_name!r} of scope "
            f"{invalid_dep_scope}, which does not live as long{': ' if source else ''}{source}; "
            "let the one live longer, or the other shorter"
        )


class ConfigError(BuildFlowError):
    """A `buildflow.yaml` or a `FlowOptions` field is wrong."""


class UsageError(BuildFlowError):
    """A magic or a method was called with words or in a state that it does not take."""


class CannotShipError(UsageError):
    """Something cannot be sent to another process, or not be made again there."""


class RunError(BuildFlowError):
    """A run ended because a processor failed."""


class ServeError(BuildFlowError):
    """The HTTP server could not start."""


class ConversionError(BuildFlowError):
    """One element cannot be converted to the declared type; trying again cannot help."""


class TemporaryError(BuildFlowError):
    """A source or sink cannot work for now; the pipeline waits and tries again."""


class AbsentError(TemporaryError):
    """What is read or written is not there: it was not made yet, or it is gone."""


class PermanentError(BuildFlowError):
    """A source or sink can never work as declared; its processor stops and says so."""


class DeniedError(PermanentError):
    """The credentials are known, and may not do what was asked."""


class PartialPushError(BuildFlowError):
    """A sink wrote all elements of a push but some.

    `failed` maps the position in the pushed sequence to the reason.
    """

    def __init__(self, message: str, failed: Mapping[int, Exception]) -> None:
        super().__init__(message)
        self.failed = dict(failed)


class InfraError(BuildFlowError):
    """Cloud resources could not be previewed, applied, refreshed or destroyed.

    `text` is everything that the engine said, for whoever asks for it.
    """

    def __init__(self, message: str, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class RejectedError(InfraError):
    """A person was asked about changes and said no; nothing was changed."""


MOST_TOLD = 1 << 20  # letters: an error may quote all that it was given


def told(error: BaseException) -> str:
    """What an error says, in one line; of one that cannot be told, its class.

    Of a text without measure it is the beginning.
    """
    try:
        text = str(error)
        text = text if len(text) <= MOST_TOLD else f"{text[:MOST_TOLD]}…"
        return " ".join(text.split()) or type(error).__name__
    except BaseException:  # noqa: BLE001  (a user's own __str__, which may raise anything)
        return type(error).__name__
