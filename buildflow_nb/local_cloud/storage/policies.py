"""IAM of buckets, as far as it can be without accounts: policies are kept, and everyone may do all.

Source: Cloud Storage JSON API v1, Buckets: getIamPolicy, setIamPolicy, testIamPermissions;
Projects.serviceAccount: get.
"""

from __future__ import annotations

from aiohttp import web

from buildflow_nb.local_cloud.storage.buckets import Buckets
from buildflow_nb.local_cloud.storage.json_body import read_json
from buildflow_nb.local_cloud.storage.kept_file import Json
from buildflow_nb.local_cloud.storage.refusal import invalid, precondition_failed
from buildflow_nb.local_cloud.storage.registrations import Registrations

__all__ = ("Policies",)


class Policies:
    """The calls on policies, and on the account in whose name events are published."""

    def __init__(self, buckets: Buckets, registrations: Registrations) -> None:
        self._buckets = buckets
        self._kept = registrations

    def routes(self) -> list[web.RouteDef]:
        """Where the calls are found."""
        policy = "/storage/v1/b/{bucket}/iam"
        return [
            web.get(policy, self.get),
            web.put(policy, self.set),
            web.get(f"{policy}/testPermissions", self.test),
            web.get("/storage/v1/projects/{project}/serviceAccount", self.service_account),
        ]

    async def get(self, request: web.Request) -> web.Response:
        """Show a bucket's policy."""
        bucket = request.match_info["bucket"]
        await self._buckets.must_have(bucket)
        return web.json_response(_shown(bucket, self._kept.policy(bucket)))

    async def set(self, request: web.Request) -> web.Response:
        """Replace a bucket's policy, if its etag is still the one that the client read."""
        bucket = request.match_info["bucket"]
        wanted = await read_json(request)
        if not isinstance(wanted.get("bindings", []), list):
            msg = "bindings of a policy have to be a list"
            raise invalid(msg)
        await self._buckets.must_have(bucket)
        made = await self._kept.set_policy(bucket, wanted)
        if made is None:
            msg = f"the policy of {bucket!r} was changed since; read it again for its new etag"
            raise precondition_failed(msg)
        return web.json_response(_shown(bucket, made))

    async def test(self, request: web.Request) -> web.Response:
        """Say what the caller may do: whatever it asks for."""
        await self._buckets.must_have(request.match_info["bucket"])
        asked = request.query.getall("permissions", [])
        return web.json_response(
            {"kind": "storage#testIamPermissionsResponse", "permissions": asked}
        )

    async def service_account(self, request: web.Request) -> web.Response:
        """The account by which Cloud Storage publishes events of a project."""
        project = request.match_info["project"]
        address = f"service-{project}@gs-project-accounts.iam.gserviceaccount.com"
        return web.json_response({"kind": "storage#serviceAccount", "email_address": address})


def _shown(bucket: str, policy: Json) -> Json:
    return {**policy, "resourceId": f"projects/_/buckets/{bucket}"}
