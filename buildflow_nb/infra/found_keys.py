"""Which credentials of AWS and Google Cloud are found, and where: never what they are.

Looks at options, the environment and files alone, in the order of the SDKs, so that it takes no
time and asks nobody. What a machine of the cloud itself gives is not asked for.

Orders: boto3 documentation, "Credentials"; Google Cloud documentation, "How Application Default
Credentials works".
"""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials
from buildflow_nb.core.findings import Finding, Health

__all__ = ("aws_keys", "gcp_keys")

AWS, GCP = "credentials of AWS", "credentials of Google Cloud"
OF_OPTIONS = "given in FlowOptions"
_AWS_CURE = (
    "give aws_access_key_id and aws_secret_access_key in FlowOptions, or set them up as for the "
    "AWS CLI (`aws configure`)"
)
_GCP_CURE = (
    "give gcp_service_account_info in FlowOptions, or run `gcloud auth application-default login`"
)
_WAYS = {
    "role_arn": "a role",
    "sso_session": "a single sign-on",
    "sso_start_url": "a single sign-on",
    "credential_process": "a program",
    "web_identity_token_file": "a web identity",
    "aws_access_key_id": "a key",
}
_OF_CONTAINERS = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def aws_keys(
    given: AWSCredentials,
    environment: Mapping[str, str] = os.environ,
    home: Path | None = None,
) -> Finding:
    """What AWS would be asked with."""
    if given.access_key_id is not None:
        return Finding(AWS, Health.OK, f"a key, {OF_OPTIONS}")
    key, secret = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
    present = [name for name in (key, secret) if environment.get(name)]
    if len(present) == 1:
        missing = secret if present == [key] else key
        return Finding(AWS, Health.ERROR, f"{present[0]} is set without {missing}", "set both")
    if present:
        return Finding(AWS, Health.OK, "a key, from the environment")
    return _aws_profile(environment, home) or _aws_of_machine(environment)


def _aws_profile(environment: Mapping[str, str], home: Path | None) -> Finding | None:
    named = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    profile, folder = named or "default", (home or Path.home()) / ".aws"
    places = (
        (Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or folder / "credentials"), profile),
        (
            Path(environment.get("AWS_CONFIG_FILE") or folder / "config"),
            profile if profile == "default" else f"profile {profile}",
        ),
    )
    for path, section in places:
        found = configparser.RawConfigParser()
        try:
            found.read(path.expanduser(), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            return Finding(AWS, Health.ERROR, f"{path} cannot be read", "mend it, as an INI file")
        if found.has_section(section):
            way = next((way for name, way in _WAYS.items() if found.has_option(section, name)), "")
            if way:
                return Finding(AWS, Health.OK, f"{way}, from profile {profile!r} in {path}")
    if named is None:
        return None
    said = f"profile {named!r}, named by AWS_PROFILE, is not set up"
    return Finding(AWS, Health.ERROR, said, f"`aws configure --profile {named}`, or unset it")


def _aws_of_machine(environment: Mapping[str, str]) -> Finding:
    if environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return Finding(AWS, Health.OK, "a web identity, from the environment")
    if any(environment.get(name) for name in _OF_CONTAINERS):
        return Finding(AWS, Health.OK, "those of this container")
    said = "none found here; a machine of AWS may have a role of its own"
    return Finding(AWS, Health.WARNING, said, _AWS_CURE)


def gcp_keys(
    given: GCPCredentials,
    environment: Mapping[str, str] = os.environ,
    home: Path | None = None,
) -> Finding:
    """What Google Cloud would be asked with."""
    if given.service_account_info is not None:
        kind = _kind(given.service_account_info.reveal())
        if kind != "service_account":
            said = "gcp_service_account_info is not the JSON of a service account's key"
            return Finding(GCP, Health.ERROR, said, "download the key again")
        return Finding(GCP, Health.OK, f"a service account, {OF_OPTIONS}")
    variable = "GOOGLE_APPLICATION_CREDENTIALS"
    if environment.get(variable):
        return _gcp_file(Path(environment[variable]), f"named by {variable}")
    path = _gcloud(environment, home) / "application_default_credentials.json"
    if path.exists():
        return _gcp_file(path, "of gcloud")
    said = "none found here; a machine of Google Cloud may have an account of its own"
    return Finding(GCP, Health.WARNING, said, _GCP_CURE)


def _gcloud(environment: Mapping[str, str], home: Path | None) -> Path:
    """The folder of gcloud's settings."""
    told = environment.get("CLOUDSDK_CONFIG")
    if told:
        return Path(told)
    if os.name == "nt":
        return Path(environment.get("APPDATA", "")) / "gcloud"
    return (home or Path.home()) / ".config" / "gcloud"


def _gcp_file(path: Path, whose: str) -> Finding:
    try:
        kind = _kind(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        kind = ""
    if not kind:
        said = f"the file {path}, {whose}, is not there, or holds no credentials"
        return Finding(GCP, Health.ERROR, said, _GCP_CURE)
    return Finding(GCP, Health.OK, f"{kind.replace('_', ' ')}, from {path}, {whose}")


def _kind(text: str) -> str:
    """What kind of credentials a JSON text holds, "" where it holds none."""
    try:
        found = json.loads(text).get("type", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""
