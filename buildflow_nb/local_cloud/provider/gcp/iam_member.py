"""One member of one role: what the three `…IAMMember` types have in common.

A policy can only be read and written as a whole, so all changes made here pass one lock, and what
was read goes back with its etag, by which the server notices a change by somebody else. The id is
`{parent}/{role}/{member}`; an import may part the three with blanks, as the published provider
wants it. The etag is given as it was when the member was added: it changes with every other member,
which is no drift of this one.

Source: google.iam.v1, Policy; Cloud Storage JSON API v1, Buckets: getIamPolicy, setIamPolicy.
"""

from __future__ import annotations

import re
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Input

__all__ = ("MEMBER_INPUTS", "VERSION", "IAMMember", "Policy")

Policy = dict[str, Any]  # the JSON form: bindings [{role, members, condition}], etag, version

LOCK_S = 60.0  # for the changes ahead in the queue, each of two calls
VERSION = 3  # of the policy format; the first with conditions
ID = re.compile(
    r"(?P<parent>b/[^/ ]+|projects/[^/ ]+/(?:topics|subscriptions)/[^/ ]+)[/ ]"
    r"(?P<role>(?:(?:projects|organizations)/[^/ ]+/)?roles/[^/ ]+)[/ ](?P<member>\S+)"
)
MEMBER_INPUTS: Mapping[str, Input] = {
    "condition": Input(
        Kind.OBJECT,
        replaces=True,
        parts={
            "description": Input(),
            "expression": Input(required=True),
            "title": Input(required=True),
        },
    ),
    "member": Input(required=True, replaces=True),
    "role": Input(required=True, replaces=True),
}
_lock = threading.Lock()


class IAMMember(Resource[GCPCloud]):
    """A member of a role in the policy of some parent."""

    @abstractmethod
    def parent(self, cloud: GCPCloud, inputs: Properties) -> str:
        """What the policy belongs to, as it stands in the id."""

    @abstractmethod
    def parent_properties(self, parent: str) -> dict[str, Plain]:
        """The properties that say the parent."""

    @abstractmethod
    def get_policy(self, cloud: GCPCloud, parent: str) -> Policy | None:
        """Read the policy; `None` if the parent is gone."""

    @abstractmethod
    def set_policy(self, cloud: GCPCloud, parent: str, policy: Policy) -> None:
        """Write the policy."""

    def identify(self, cloud: GCPCloud, resource_id: str) -> str:
        """The id with slashes."""
        del cloud
        return "/".join(_parts(resource_id))

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Add the member.

        Raises:
            InfraError: there is no such parent.
        """
        parent = self.parent(cloud, inputs)
        role, member = inputs.must("role"), inputs.must("member")
        with _alone():
            policy = self.get_policy(cloud, parent)
            if policy is None:
                msg = f"{parent!r} does not exist; make it before its members"
                raise InfraError(msg)
            if _binding(policy, role, member, inputs.get("condition")) is None:
                binding: dict[str, Any] = {"role": role, "members": [member]}
                bindings = [*policy.get("bindings", ()), binding]
                new = {**policy, "bindings": bindings}
                if inputs.get("condition"):
                    binding["condition"] = inputs["condition"]
                    new["version"] = VERSION
                self.set_policy(cloud, parent, new)
        return f"{parent}/{role}/{member}"

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look whether the member is in the policy."""
        parent, role, member = _parts(resource_id)
        policy = self.get_policy(cloud, parent)
        condition = known.get("condition")
        if policy is None or _binding(policy, role, member, condition) is None:
            return None
        return {
            **self.parent_properties(parent),
            "role": role,
            "member": member,
            "condition": condition,
            "etag": known.get("etag") or policy.get("etag"),
        }

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Take the member out of the policy."""
        parent, role, member = _parts(resource_id)
        with _alone():
            policy = self.get_policy(cloud, parent)
            binding = policy and _binding(policy, role, member, known.get("condition"))
            if not policy or not binding:
                return
            members = [each for each in binding["members"] if each != member]
            others = [each for each in policy["bindings"] if each is not binding]
            left = [{**binding, "members": members}] if members else []
            self.set_policy(cloud, parent, {**policy, "bindings": [*others, *left]})


def _binding(policy: Policy, role: str, member: str, condition: Plain) -> dict[str, Any] | None:
    """The binding that gives a member a role, under the same condition."""
    for binding in policy.get("bindings", ()):
        same_condition = (binding.get("condition") or None) == (condition or None)
        if binding["role"] == role and member in binding.get("members", ()) and same_condition:
            found: dict[str, Any] = binding
            return found
    return None


def _parts(resource_id: str) -> tuple[str, str, str]:
    found = ID.fullmatch(resource_id)
    if found is None:
        msg = f"{resource_id!r} is not the id of a member; give 'b/bucket role member' or the like"
        raise InfraError(msg)
    return found["parent"], found["role"], found["member"]


@contextmanager
def _alone() -> Iterator[None]:
    if not _lock.acquire(timeout=LOCK_S):
        msg = f"other changes of policies have not ended in {LOCK_S:g} s; try again"
        raise InfraError(msg)
    try:
        yield
    finally:
        _lock.release()
