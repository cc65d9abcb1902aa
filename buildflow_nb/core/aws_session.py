"""Sessions of boto3 for the keys of a stack, the same for every room that talks to AWS.

Where a stack gives keys, no profile and no file of the environment counts: they could name other
keys, another host, or a profile that does not exist. Where it gives none, the SDK's own chain
decides. The SDK is loaded when a session is made.
"""

from __future__ import annotations

import os
from typing import Any

from buildflow_nb.core.credentials import AWSCredentials, Secret

__all__ = ("aws_session", "bare_session")


def aws_session(keys: AWSCredentials) -> Any:
    """A session with these keys, or with the SDK's own chain where there are none."""
    import boto3

    return boto3.Session(
        aws_access_key_id=_shown(keys.access_key_id),
        aws_secret_access_key=_shown(keys.secret_access_key),
        aws_session_token=_shown(keys.session_token),
        botocore_session=None if keys.access_key_id is None else bare_session(),
    )


def bare_session() -> Any:
    """A session of botocore that looks at neither a profile nor a file of the environment."""
    import botocore.session

    # As botocore's own table has them: key in the file, variable, default, conversion.
    nowhere = (None, None, os.devnull, None)
    nothing: dict[str, tuple[None, None, str | None, None]] = {
        "profile": (None, None, None, None),
        "config_file": nowhere,
        "credentials_file": nowhere,
    }
    return botocore.session.Session(session_vars=nothing)


def _shown(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
