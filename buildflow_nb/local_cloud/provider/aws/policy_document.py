"""`aws:iam/getPolicyDocument:getPolicyDocument`: an IAM policy as JSON, from its parts.

Nothing is asked of a cloud. As the published provider does, a list of one is written as the one,
statements of an overriding document replace those of the same `Sid`, and `json` is indented.

Source: AWS IAM User Guide, "IAM JSON policy elements reference".
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.aws.cloud import AWSCloud
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.properties import Properties

__all__ = ("policy_document",)

VERSION = "2012-10-17"  # of the policy language; the only one with variables
LISTS = {
    "actions": "Action",
    "notActions": "NotAction",
    "resources": "Resource",
    "notResources": "NotResource",
}
PRINCIPALS = {"principals": "Principal", "notPrincipals": "NotPrincipal"}


def policy_document(cloud: AWSCloud, inputs: Properties) -> Mapping[str, Plain]:
    """Compose the document; gives it back with the arguments.

    Raises:
        InfraError: a document to merge is not JSON.
    """
    del cloud
    sources = [inputs.text("sourceJson") or "", *inputs.texts("sourcePolicyDocuments")]
    overrides = [inputs.text("overrideJson") or "", *inputs.texts("overridePolicyDocuments")]
    statements = _merged([], sources)
    statements += [_statement(each) for each in inputs.parts("statements")]
    statements = _merged(statements, overrides)
    document: dict[str, Any] = {"Version": inputs.text("version") or VERSION}
    if inputs.text("policyId"):
        document["Id"] = inputs.text("policyId")
    document["Statement"] = statements
    text = json.dumps(document, indent=2)
    return {
        **inputs,
        "version": document["Version"],
        "id": str(zlib.crc32(text.encode())),
        "json": text,
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }


def _merged(statements: list[dict[str, Any]], documents: list[str]) -> list[dict[str, Any]]:
    """Statements with those of further documents, which win over the same `Sid`."""
    merged = list(statements)
    for each in documents:
        for new in _statements(each) if each else ():
            sids = [old.get("Sid") for old in merged]
            if new.get("Sid") and new["Sid"] in sids:
                merged[sids.index(new["Sid"])] = new
            else:
                merged.append(new)
    return merged


def _statements(document: str) -> list[dict[str, Any]]:
    try:
        parsed = json.loads(document)
        found = parsed["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"a policy document to merge is not JSON with a Statement ({type(error).__name__})"
        raise InfraError(msg) from error
    return found if isinstance(found, list) else [found]


def _statement(given: Properties) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if given.text("sid"):
        found["Sid"] = given.text("sid")
    found["Effect"] = given.text("effect") or "Allow"
    for name, element in PRINCIPALS.items():
        if given.parts(name):
            found[element] = _principals(given.parts(name))
    for name, element in LISTS.items():
        if given.texts(name):
            found[element] = _one_or_many(given.texts(name))
    if given.parts("conditions"):
        found["Condition"] = _conditions(given.parts("conditions"))
    return found


def _principals(given: list[Properties]) -> Any:
    kinds: dict[str, list[str]] = {}
    for each in given:
        kinds.setdefault(each.must("type"), []).extend(each.texts("identifiers"))
    if kinds == {"*": ["*"]}:
        return "*"
    return {kind: _one_or_many(identifiers) for kind, identifiers in kinds.items()}


def _conditions(given: list[Properties]) -> dict[str, dict[str, Any]]:
    tests: dict[str, dict[str, list[str]]] = {}
    for each in given:
        variables = tests.setdefault(each.must("test"), {})
        variables.setdefault(each.must("variable"), []).extend(each.texts("values"))
    return {
        test: {variable: _one_or_many(values) for variable, values in variables.items()}
        for test, variables in tests.items()
    }


def _one_or_many(texts: list[str]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else sorted(texts)
