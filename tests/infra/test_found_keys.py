"""Which credentials are found, in which order, and that they are never told."""

from __future__ import annotations

import json

import pytest

from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials, Secret
from buildflow_nb.core.findings import Health
from buildflow_nb.infra.found_keys import aws_keys, gcp_keys

NONE, NO_ACCOUNT = AWSCredentials(), GCPCredentials()
HUSH = "hush-hush"
KEYS = {"AWS_ACCESS_KEY_ID": HUSH, "AWS_SECRET_ACCESS_KEY": HUSH}
ACCOUNT = json.dumps({"type": "service_account", "private_key": HUSH})


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".aws").mkdir()
    return tmp_path


def write(home, name, text):
    (home / ".aws" / name).write_text(text)


class TestAWS:
    def test_options_come_before_the_environment_and_that_before_profiles(self, home):
        write(home, "credentials", f"[default]\naws_access_key_id = {HUSH}\n")
        given = AWSCredentials(Secret(HUSH), Secret(HUSH))
        found = [aws_keys(given, KEYS, home), aws_keys(NONE, KEYS, home), aws_keys(NONE, {}, home)]
        assert [one.health for one in found] == [Health.OK] * 3
        assert "FlowOptions" in found[0].said
        assert "the environment" in found[1].said
        assert "profile 'default'" in found[2].said
        assert HUSH not in repr(found)

    @pytest.mark.parametrize("name", KEYS)
    def test_half_a_key(self, home, name):
        found = aws_keys(NONE, {name: HUSH}, home)
        assert (found.health, found.cure) == (Health.ERROR, "set both")
        assert HUSH not in repr(found)

    @pytest.mark.parametrize(
        ("line", "way"),
        [
            ("role_arn = arn:aws:iam::1:role/x", "a role"),
            ("sso_session = x", "a single sign-on"),
            ("credential_process = /bin/x", "a program"),
        ],
    )
    def test_a_profile_of_the_config_file(self, home, line, way):
        write(home, "config", f"[profile dev]\n{line}\n")
        found = aws_keys(NONE, {"AWS_PROFILE": "dev"}, home)
        assert (found.health, found.said.partition(",")[0]) == (Health.OK, way)

    def test_a_profile_that_is_not_there(self, home):
        found = aws_keys(NONE, {"AWS_PROFILE": "dev"}, home)
        assert found.health is Health.ERROR
        assert "'dev'" in found.said

    def test_a_file_that_is_broken(self, home):
        write(home, "config", "no section\n")
        assert "cannot be read" in aws_keys(NONE, {}, home).said

    def test_what_a_machine_gives(self, home):
        assert aws_keys(NONE, {}, home).health is Health.WARNING
        uri = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"}
        assert "container" in aws_keys(NONE, uri, home).said
        assert "web identity" in aws_keys(NONE, {"AWS_WEB_IDENTITY_TOKEN_FILE": "/x"}, home).said


class TestGCP:
    def test_options_come_before_the_variable_and_that_before_gcloud(self, tmp_path):
        own, gcloud = tmp_path / "own.json", tmp_path / ".config" / "gcloud"
        own.write_text(ACCOUNT)
        gcloud.mkdir(parents=True)
        user = json.dumps({"type": "authorized_user", "refresh_token": HUSH})
        (gcloud / "application_default_credentials.json").write_text(user)
        variable = {"GOOGLE_APPLICATION_CREDENTIALS": str(own)}
        found = [
            gcp_keys(GCPCredentials(Secret(ACCOUNT)), variable, tmp_path),
            gcp_keys(NO_ACCOUNT, variable, tmp_path),
            gcp_keys(NO_ACCOUNT, {}, tmp_path),
        ]
        assert [one.health for one in found] == [Health.OK] * 3
        assert [one.said.partition(",")[0] for one in found] == [
            "a service account",
            "service account",
            "authorized user",
        ]
        assert HUSH not in repr(found)

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"type": 1}', f'{{"private_key": "{HUSH}"}}'])
    def test_what_is_no_account(self, tmp_path, text):
        found = gcp_keys(GCPCredentials(Secret(text)), {}, tmp_path)
        assert found.health is Health.ERROR
        assert HUSH not in repr(found)
        (tmp_path / "a.json").write_text(text)
        variable = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "a.json")}
        assert gcp_keys(NO_ACCOUNT, variable, tmp_path).health is Health.ERROR

    def test_a_file_that_is_not_there(self, tmp_path):
        variable = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "a.json")}
        assert "is not there" in gcp_keys(NO_ACCOUNT, variable, tmp_path).said

    def test_none(self, tmp_path):
        assert gcp_keys(NO_ACCOUNT, {}, tmp_path).health is Health.WARNING
