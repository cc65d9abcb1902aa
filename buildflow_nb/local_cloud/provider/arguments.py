"""A provider's configuration as the engine hands it over.

The SDKs write every argument that is not a text as JSON into a text, so such arguments are parsed
here. In a preview an argument may be unknown; then it stays so.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from google.protobuf import struct_pb2

from buildflow_nb.local_cloud.provider.codec import Bag, Plain, decode

__all__ = ("arguments",)


def arguments(struct: struct_pb2.Struct, structured: Collection[str]) -> Bag:
    """Read a configuration, in which the arguments named in `structured` are JSON."""
    bag = decode(struct)
    values = {n: _parsed(v) if n in structured else v for n, v in bag.values.items()}
    return Bag(values, bag.secrets)


def _parsed(value: Plain) -> Plain:
    if not isinstance(value, str):
        return value
    try:
        parsed: Plain = json.loads(value)
    except ValueError:
        return value
    return parsed
