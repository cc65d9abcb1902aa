"""Which cloud's primitive a stack wants, and what is said where that cloud has none.

`default_cloud_provider` of buildflow.yaml decides, the stack's own before the file's. Where nobody
has said one it is "local", which is this machine and its local cloud; a stack on the real cloud has
to name one, since somebody pays for it.
"""

from __future__ import annotations

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Env

__all__ = ("nothing_there", "provider_of")


def provider_of(owner: str, env: Env) -> str:
    """The cloud: "aws", "gcp" or "local".

    Raises:
        DeclarationError: the stack is on a real cloud, and nobody said which; or it is Azure.
    """
    if env.provider == "azure":
        raise nothing_there(owner, env, "take a stack on aws, gcp or local")
    if env.provider == "local" and env.cloud == "real":
        msg = (
            f"{owner}: stack {env.stack!r} is on a real cloud, and nobody said which; write "
            "default_cloud_provider: aws (or gcp) below cloud_provider_config in buildflow.yaml"
        )
        raise DeclarationError(msg)
    return env.provider


def nothing_there(owner: str, env: Env, instead: str) -> DeclarationError:
    """The error of a cloud that has no such thing."""
    msg = f"{owner}: stack {env.stack!r} is on {env.provider}, which has none; {instead}"
    return DeclarationError(msg)
