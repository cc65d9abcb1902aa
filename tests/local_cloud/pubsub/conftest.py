"""The servers of the conformance suite, and what is known to differ between them."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from tests.local_cloud.pubsub.clients import Clients
from tests.local_cloud.pubsub.servers import emulator_jar, google_server, our_server

_OUT_OF_RANGE = "test_values_out_of_range_are_refused"
DIFFERENCES = {
    ("google", "test_labels_are_updated_by_the_mask"): "cannot update labels of topics",
    ("google", "test_a_detached_subscription_cannot_be_pulled"): "cannot detach",
    ("google", "test_ten_megabytes_are_the_limit"): "takes any size that gRPC takes",
    ("google", "test_attributes_beyond_their_limits_are_refused"): "does not check attributes",
    ("google", "test_what_is_left_open_has_googles_defaults"): "leaves the expiration open",
    ("google", f"{_OUT_OF_RANGE}[deadline-9]"): "takes any deadline below 600 s",
    ("google", f"{_OUT_OF_RANGE}[mixed]"): "does not read filters",
    ("google", f"{_OUT_OF_RANGE}[nonsense]"): "does not read filters",
    ("google", "test_giving_one_back_brings_all_later_ones_back"): "gives back one message alone",
    ("google", "test_a_filter_lets_pass_what_matches"): "delivers everything",
    ("google", "test_the_retry_policy_holds_a_message_back"): "delivers again at once",
    ("google", "test_iam_policies_are_kept"): "has no IAM service",
}


@contextmanager
def running(name):
    if name == "ours":
        with our_server() as (address, _):
            yield address
        return
    jar = emulator_jar()
    if jar is None:
        pytest.skip("Google's emulator is not on this machine (PUBSUB_EMULATOR_JAR names its jar)")
    with google_server(jar) as address:
        yield address


@pytest.fixture(scope="session", params=["ours", "google"])
def server(request):
    with running(request.param) as address:
        yield request.param, address


@pytest.fixture(scope="session")
def shared_clients(server):
    clients = Clients(server[1])
    yield clients
    clients.close()


@pytest.fixture
def pubsub(request, server, shared_clients):
    name, _ = server
    test = request.node.name.replace(f"[{name}]", "").replace(f"{name}-", "")
    if reason := DIFFERENCES.get((name, test)):
        request.applymarker(pytest.mark.xfail(reason=reason))
    return shared_clients
