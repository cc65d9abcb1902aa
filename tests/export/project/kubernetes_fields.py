"""The fields of what Kubernetes is told, by the API references of KubeRay 1.6 and Kubernetes 1.28.

Only those that a deployment of ours may need: a field that is not here is taken for misspelt.
"""

from __future__ import annotations

from typing import Any

TEXTS = {"*": str}  # an object of texts by any names
METADATA = {"name": str, "labels": TEXTS, "annotations": TEXTS}
SECRET = {"name": str, "key": str}
CONTAINER = {
    "name": str,
    "image": str,
    "ports": [{"containerPort": int, "name": str}],
    "env": [{"name": str, "value": str, "valueFrom": {"secretKeyRef": SECRET}}],
    "resources": {"requests": TEXTS, "limits": TEXTS},
    "lifecycle": {"preStop": {"exec": {"command": [str]}}},
    "readinessProbe": {
        "httpGet": {"path": str, "port": int},
        "periodSeconds": int,
        "failureThreshold": int,
    },
}
POD = {
    "metadata": METADATA,
    "spec": {
        "restartPolicy": ("Always", "OnFailure", "Never"),
        "terminationGracePeriodSeconds": int,
        "containers": [CONTAINER],
    },
}
CLUSTER = {
    "rayVersion": str,
    "authOptions": {"mode": ("disabled", "token")},
    "enableInTreeAutoscaling": bool,
    "headGroupSpec": {"rayStartParams": TEXTS, "template": POD},
    "workerGroupSpecs": [
        {
            "groupName": str,
            "replicas": int,
            "minReplicas": int,
            "maxReplicas": int,
            "rayStartParams": TEXTS,
            "template": POD,
        }
    ],
}
RAY_JOB = {
    "apiVersion": ("ray.io/v1",),
    "kind": ("RayJob",),
    "metadata": METADATA,
    "spec": {
        "entrypoint": str,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "runtimeEnvYAML": str,
        "rayClusterSpec": CLUSTER,
    },
}
SERVICE = {
    "apiVersion": ("v1",),
    "kind": ("Service",),
    "metadata": METADATA,
    "spec": {"selector": TEXTS, "ports": [{"name": str, "port": int, "targetPort": int}]},
}


def wrong(document: Any, fields: Any, path: str = "") -> list[str]:
    """What of a document is no field, or of another type, by its path."""
    if isinstance(fields, tuple):
        return [] if document in fields else [f"{path}: {document!r}"]
    if isinstance(fields, list):
        if not isinstance(document, list):
            return [f"{path}: no list"]
        found = [wrong(one, fields[0], f"{path}[{i}]") for i, one in enumerate(document)]
        return [line for lines in found for line in lines]
    if isinstance(fields, dict):
        if not isinstance(document, dict):
            return [f"{path}: no object"]
        found = []
        for name, inner in document.items():
            field = fields.get(name, fields.get("*"))
            where = f"{path}.{name}"
            found += [f"{where}: no such field"] if field is None else wrong(inner, field, where)
        return found
    return [] if type(document) is fields else [f"{path}: {document!r} is no {fields.__name__}"]
