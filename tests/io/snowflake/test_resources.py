"""What a flow manages of Snowflake, applied by the real engine on the local cloud."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import serialization

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import key_of
from buildflow_nb.core.status.operations import Op
from buildflow_nb.infra.managed import in_order
from buildflow_nb.io.snowflake import SnowflakeTable
from buildflow_nb.io.snowflake.places import login_of
from tests.infra.conftest import ENGINE, cloud, cloud_folder, project  # noqa: F401  (fixtures)
from tests.io.contract import run
from tests.io.snowflake.test_table import key_text


@dataclass
class Row:
    id: int
    name: str | None
    words: list[str]


def table(name="priced", **options):
    return SnowflakeTable(name, "Shop", "Raw").options(table_schema=Row, **options)


def test_tables_of_one_schema_share_what_they_stand_on():
    found = list(map(key_of, in_order([table(), table("other")])))
    assert found == [
        "SnowflakeDatabase Shop",
        "SnowflakeSchema Shop.Raw",
        "SnowflakeStage Shop.Raw.BUILDFLOW_STAGE",
        "SnowflakeTable Shop.Raw.priced",
        "SnowflakeTable Shop.Raw.other",
    ]


def test_what_is_left_to_others_is_not_managed():
    own = table(database_managed=False, schema_managed=False)
    assert [key_of(one) for one in own.owned()] == ["SnowflakeStage Shop.Raw.BUILDFLOW_STAGE"]
    named = SnowflakeTable("t", "Shop", "Raw", snowflake_stage="mine", database_managed=False)
    assert [key_of(one) for one in named.owned()] == ["SnowflakeSchema Shop.Raw"]


class Site:
    env = Env(cloud="real")


def test_a_login_of_the_real_cloud():
    key = key_text()
    account = SnowflakeTable("t", "d", "s", None, "org-name", "me", key)._account()
    found = login_of(account, Site)
    assert (found["organization_name"], found["account_name"], found["user"]) == (
        "org",
        "name",
        "me",
    )
    given = serialization.load_pem_private_key(key.encode(), None)
    made = serialization.load_pem_private_key(found["private_key"].reveal().encode(), None)
    assert made.private_numbers() == given.private_numbers()
    for words in ({}, {"account": "locator", "user": "me", "private_key": key}):
        with pytest.raises(DeclarationError, match="account='ORGANIZATION-ACCOUNT'"):
            login_of(SnowflakeTable("t", "d", "s", **words)._account(), Site)


def test_a_missing_sdk_is_named(monkeypatch):
    made = table()
    assert made.lacks() == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "pip install 'buildflow_nb[snowflake]'" in made.lacks()


class TestEngine:
    pytestmark = ENGINE

    def test_apply_write_and_destroy(self, project):  # noqa: F811
        made = table()
        assert project.apply(made).summary.changes == {Op.CREATE: 5}
        assert not project.apply(made).summary.changes.keys() - {Op.SAME}
        env = project.deployment.env

        async def go():
            async with made.sink(env, Row) as sink:
                await sink.push([Row(1, None, ["a"])])
            return await made.columns(env)

        assert run(go()).names == ("id", "name", "words")
        assert project.destroy(made).summary.changes == {Op.DELETE: 5}
