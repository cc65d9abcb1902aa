"""Private keys of Snowflake's users, which are files in PEM form (PKCS#8).

Source: Snowflake documentation, "Key-pair authentication and key-pair rotation".
"""

from __future__ import annotations

import os
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError, PermanentError

__all__ = ("der_of", "read_private_key_file", "read_private_key_file_bytes")


def read_private_key_file(file_path: str | os.PathLike[str]) -> Secret:
    """The key in a file, as a secret that `SnowflakeTable(private_key=…)` takes.

    Raises:
        DeclarationError: the file cannot be read, or is no text.
    """
    path = Path(file_path)
    try:
        return Secret(path.read_text("ascii"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no PEM text"
        msg = f"the private key in {path} cannot be read: {reason}"
        raise DeclarationError(msg) from None


def read_private_key_file_bytes(file_path: str | os.PathLike[str]) -> Secret:
    """The same; BuildFlow had two ways to hand a key to two clients."""
    return read_private_key_file(file_path)


def der_of(key: Secret, owner: str) -> bytes:
    """A key as the client wants it: DER of an unencrypted PKCS#8 key.

    Raises:
        PermanentError: it is no such key; says so without showing it.
    """
    from cryptography.hazmat.primitives import serialization

    text = key.reveal().strip()
    if not text.startswith("-----"):  # without its first and last line, as pipelines take it
        text = f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"
    try:
        found = serialization.load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):  # the cause may quote it
        msg = f"{owner}: private_key is no unencrypted key in PEM form (PKCS#8); make it anew"
        raise PermanentError(msg) from None
    return found.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
