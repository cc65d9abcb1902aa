"""The REST API without a client: what tools like `bq` and `curl` send, and what they get."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from tests.local_cloud.bigquery.servers import PASSWORD


@pytest.fixture
def ask(server):
    def ask(method, path, body=None, **headers):
        url = f"{server.url}/bigquery/v2/projects/proj{path}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {PASSWORD}", **headers}
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    return ask


def test_a_query_by_post(ask):
    status, answer = ask("POST", "/queries", {"query": "SELECT 1 AS one", "useLegacySql": False})
    assert status == 200
    assert answer["jobComplete"]
    assert answer["rows"] == [{"f": [{"v": "1"}]}]
    assert answer["schema"]["fields"] == [{"name": "one", "type": "INTEGER", "mode": "NULLABLE"}]
    job = answer["jobReference"]["jobId"]
    status, again = ask("GET", f"/queries/{job}?maxResults=1")
    assert (status, again["rows"], again["totalRows"]) == (200, answer["rows"], "1")


def test_a_moment_is_in_seconds_unless_asked_otherwise(ask):
    sql = {"query": "SELECT TIMESTAMP '2026-01-01 00:00:00.5+00' AS at", "useLegacySql": False}
    assert ask("POST", "/queries", sql)[1]["rows"] == [{"f": [{"v": "1767225600.5"}]}]
    whole = {**sql, "formatOptions": {"useInt64Timestamp": True}}
    assert ask("POST", "/queries", whole)[1]["rows"] == [{"f": [{"v": "1767225600500000"}]}]


def test_tables_are_listed_in_pages(ask, dataset):
    schema = {"fields": [{"name": "a", "type": "STRING"}]}
    for name in ("a", "b", "c"):
        made = {"tableReference": {"tableId": name}, "schema": schema}
        assert ask("POST", f"/datasets/{dataset}/tables", made)[0] == 200
    _, first = ask("GET", f"/datasets/{dataset}/tables?maxResults=2")
    assert [each["tableReference"]["tableId"] for each in first["tables"]] == ["a", "b"]
    token = first["nextPageToken"]
    _, second = ask("GET", f"/datasets/{dataset}/tables?maxResults=2&pageToken={token}")
    assert [each["tableReference"]["tableId"] for each in second["tables"]] == ["c"]
    assert "nextPageToken" not in second


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (("POST", "/queries", b"{nonsense"), 400, "invalid"),
        (("POST", "/queries", b"[1]"), 400, "invalid"),
        (("POST", "/queries", {"query": 3}), 400, "invalidQuery"),
        (("POST", "/jobs", {}), 400, "invalid"),
        (("POST", "/jobs", {"configuration": {}}), 200, ""),
        (("GET", "/jobs/nobody", None), 404, "notFound"),
        (("GET", "/queries/nobody", None), 404, "notFound"),
        (("GET", "/datasets?maxResults=many", None), 400, "invalid"),
        (("GET", "/datasets?maxResults=-1", None), 400, "invalid"),
        (("POST", "/datasets", {"datasetReference": {"datasetId": "a b"}}), 400, "invalid"),
        (("GET", "/datasets/d/routines", None), 501, "notImplemented"),
        (("GET", "/serviceAccount", None), 501, "notImplemented"),
        (("POST", "/datasets", b" " * (11 << 20)), 413, "uploadTooLarge"),
        (("POST", "/datasets/nowhere/tables/t/insertAll", {"rows": []}), 404, "notFound"),
    ],
)
def test_what_is_wrong_is_said_as_google_says_it(ask, request_, status, reason):
    found, answer = ask(*request_)
    assert found == status, answer
    if reason:
        assert answer["error"]["code"] == status
        assert answer["error"]["errors"][0]["reason"] == reason
        assert answer["error"]["message"]


def test_a_job_that_is_none_says_so_in_its_status(ask):
    _, job = ask("POST", "/jobs", {"configuration": {"extract": {}}})
    assert job["status"]["errorResult"]["reason"] == "notImplemented"
    assert "extract jobs" in job["status"]["errorResult"]["message"]
