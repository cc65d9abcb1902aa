"""Which Ray a person means, and what is refused before anything starts."""

from __future__ import annotations

import importlib.util
import socket
import sys

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.runtime.ray.addresses import Address, address_of, takes_jobs
from buildflow_nb.runtime.ray.host import refuse


class TestReading:
    @pytest.mark.parametrize("text", [None, "", "  ", "local"])
    def test_nothing_is_a_ray_of_its_own(self, text):
        assert address_of(text) == Address()
        assert address_of(text).own

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("auto", Address("auto")),
            ("head:6379", Address("head:6379", "head", 6379)),
            (" 10.0.0.1:6379 ", Address("10.0.0.1:6379", "10.0.0.1", 6379)),
            ("[::1]:6379", Address("[::1]:6379", "::1", 6379)),
        ],
    )
    def test_a_cluster_is_joined(self, text, expected):
        assert address_of(text) == expected
        assert not address_of(text).own

    @pytest.mark.parametrize(
        "text", ["head", "head:", ":6379", "head:x", "head:0", "a://b:1", "a:²"]
    )
    def test_what_is_no_address_is_refused(self, text):
        with pytest.raises(UsageError, match="is no address of a Ray cluster; give auto, or host"):
            address_of(text)

    @pytest.mark.parametrize("text", ["http://head:8265", "https://head"])
    def test_where_jobs_are_taken_is_refused_with_what_to_do(self, text):
        with pytest.raises(
            UsageError, match=f"goes there by buildflow run --engine ray --address {text}"
        ):
            address_of(text)
        assert takes_jobs(text)
        assert not takes_jobs(text.partition("//")[2])

    def test_a_client_is_refused_with_what_to_do(self):
        with pytest.raises(UsageError, match=r"Ray's client is not supported, .* address auto"):
            address_of("ray://head:10001")


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(sys, "platform", "linux")


class TestRefusing:
    @pytest.mark.parametrize("address", [None, "", "auto", "127.0.0.1:1", "localhost:1", "[::1]:1"])
    @pytest.mark.parametrize("local", [True, False])
    def test_this_machine_does_for_the_local_cloud(self, installed, address, local):
        refuse(address, local=local)

    def test_so_does_this_machine_by_its_name(self, installed):
        refuse(f"{socket.gethostname()}:6379", local=True)

    def test_the_local_cloud_cannot_be_reached_from_another(self, installed):
        refuse("192.0.2.1:6379", local=False)
        with pytest.raises(UsageError, match=r"cannot be reached from the cluster at 192\.0\.2\.1"):
            refuse("192.0.2.1:6379", local=True)

    def test_an_address_that_is_none(self, installed):
        with pytest.raises(UsageError, match="is no address of a Ray cluster"):
            refuse("head", local=False)

    def test_what_is_not_installed_is_named_before_all_else(self, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr(sys, "platform", "linux")
        with pytest.raises(UsageError, match=r"needs Ray: pip install 'buildflow_nb\[ray\]'$"):
            refuse("head", local=True)

    def test_where_there_is_no_package_nothing_is_to_be_installed(self, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        with pytest.raises(UsageError, match="no package for Macs with an Intel processor; leave"):
            refuse(None, local=True)
