"""`gcp:storage/getProjectServiceAccount`: the account by which Cloud Storage publishes events.

Source: Cloud Storage JSON API v1, Projects.serviceAccount.
"""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.local_cloud.provider.properties import Properties

__all__ = ("project_service_account",)


def project_service_account(cloud: GCPCloud, inputs: Properties) -> Mapping[str, Plain]:
    """Look the account up.

    Raises:
        StorageRefusedError: the server does not tell.
        InfraError: there is no project, or no answer came.
    """
    project = cloud.project(inputs)
    email = cloud.storage.call("GET", "projects", project, "serviceAccount")["email_address"]
    return {
        "emailAddress": email,
        "id": email,
        "member": f"serviceAccount:{email}",
        "project": project,
        "userProject": inputs.text("userProject"),
    }
