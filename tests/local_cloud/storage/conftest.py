"""Both emulators behind the front, once a session, and what is known to differ between them."""

from __future__ import annotations

import pytest

from tests.local_cloud.storage.cloud import EMULATORS, running

FALLBACK = EMULATORS[1]
DIFFERENCES = {
    (FALLBACK, "test_a_generation_that_does_not_match_is_refused"): "ignores preconditions",
    (FALLBACK, "test_an_overwritten_object_is_told_as_deleted"): "events tell no overwriting",
    (FALLBACK, "test_a_head_tells_the_size_without_the_content"): "answers no HEAD",
    (FALLBACK, "test_metadata_is_replaced_by_an_update"): "has no PUT of metadata",
    (FALLBACK, "test_a_name_has_any_characters"): "gives links that are not percent-encoded",
    (FALLBACK, "test_a_list_begins_at_an_offset"): "ignores startOffset",
    (EMULATORS[0], "test_a_list_matches_a_glob"): "ignores matchGlob",
    (EMULATORS[0], "test_the_xml_api_puts_and_gets"): "its XML API uploads by signed URLs only",
    (EMULATORS[0], "test_a_name_may_be_the_beginning_of_a_path"): "a file cannot be a folder too",
    (FALLBACK, "test_a_name_may_be_the_beginning_of_a_path"): "a file cannot be a folder too",
}


@pytest.fixture(scope="session", params=EMULATORS)
def shared_cloud(request, tmp_path_factory):
    with running(request.param, tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def cloud(request, shared_cloud):
    test = request.node.name.partition("[")[0]
    if reason := DIFFERENCES.get((shared_cloud.emulator, test)):
        request.applymarker(pytest.mark.xfail(reason=reason))
    return shared_cloud


@pytest.fixture
def name(request, shared_cloud):
    """A name that no other test uses, fit for a bucket and a topic."""
    short = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")
    return f"t-{short[:55].strip('-')}"
