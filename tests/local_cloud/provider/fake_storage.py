"""Cloud Storage's JSON API in memory, with what fake-gcs-server lacks.

Buckets keep all of their metadata, have notification configurations and a policy with an etag;
projects have a service account. Objects can be put by `put` and listed and deleted over the API.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class FakeStorage:
    """The state, and the calls by path."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.buckets: dict[str, dict] = {}
        self.objects: dict[str, list[dict]] = {}
        self.notifications: dict[str, dict[str, dict]] = {}
        self.policies: dict[str, dict] = {}
        self.count = 0
        self.url = ""

    def put(self, bucket: str, name: str) -> None:
        self.objects[bucket].append({"name": name, "generation": "1"})

    def answer(self, method: str, path: list[str], body: dict) -> tuple[int, object]:
        with self.lock:
            self.count += 1
            match method, *path:
                case "GET", "projects", project, "serviceAccount":
                    return 200, {"email_address": f"service-{project}@gs-project-accounts.test"}
                case "POST", "b":
                    return self._insert(body)
            if path[1] not in self.buckets:
                return 404, "The specified bucket does not exist."
            return self._of_bucket(method, path[1], path[2:], body)

    def _insert(self, body: dict) -> tuple[int, object]:
        name = body["name"]
        if name in self.buckets:
            return 409, "Your previous request to create the named bucket succeeded."
        access = {"uniformBucketLevelAccess": {"enabled": False}}
        access |= {"publicAccessPrevention": "inherited"} | body.get("iamConfiguration", {})
        times = {"timeCreated": f"t{self.count}", "updated": f"t{self.count}"}
        more = {"projectNumber": "42", "selfLink": f"{self.url}b/{name}", **times}
        self.buckets[name] = {**body, "iamConfiguration": access, **more}
        self.objects[name], self.notifications[name] = [], {}
        self.policies[name] = {"bindings": [], "etag": "e0", "version": 1}
        return 200, self.buckets[name]

    def _of_bucket(self, method, bucket, path, body) -> tuple[int, object]:
        parts = {
            "": self._bucket,
            "o": self._object,
            "iam": self._policy,
            "notificationConfigs": self._notification,
        }
        return parts[path[0] if path else ""](method, bucket, path[1:], body)

    def _bucket(self, method, bucket, path, body) -> tuple[int, object]:
        if method == "DELETE" and self.objects[bucket]:
            return 409, "The bucket you tried to delete is not empty."
        if method == "DELETE":
            return 204, self.buckets.pop(bucket) and None
        if method == "PATCH":
            self._patch(self.buckets[bucket], body)
        return 200, self.buckets[bucket]

    def _object(self, method, bucket, path, body) -> tuple[int, object]:
        if method == "GET":
            return 200, {"items": self.objects[bucket][:2]}
        self.objects[bucket] = [o for o in self.objects[bucket] if o["name"] != path[0]]
        return 204, None

    def _policy(self, method, bucket, path, body) -> tuple[int, object]:
        if method == "PUT":
            if body.get("etag") != self.policies[bucket]["etag"]:
                return 412, "The etag is not that of the policy."
            self.policies[bucket] = {**body, "etag": f"e{self.count}"}
        return 200, self.policies[bucket]

    def _patch(self, bucket: dict, body: dict) -> None:
        labels = bucket.get("labels", {}) | body.pop("labels", {})
        bucket["labels"] = {k: v for k, v in labels.items() if v is not None}
        bucket["iamConfiguration"] |= body.pop("iamConfiguration", {})
        bucket |= body
        bucket["updated"] = f"t{self.count}"

    def _notification(self, method, bucket, rest, body) -> tuple[int, object]:
        configs = self.notifications[bucket]
        if method == "POST":
            number = str(self.count)
            link = f"{self.url}b/{bucket}/notificationConfigs/{number}"
            configs[number] = {**body, "id": number, "selfLink": link}
            return 200, configs[number]
        if rest[0] not in configs:
            return 404, "Not Found"
        return (200, configs[rest[0]]) if method == "GET" else (204, configs.pop(rest[0]) and None)


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the server's `fake`."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer, or each would wait for an acknowledgement

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        path = [unquote(part) for part in urlsplit(self.path).path.split("/")[3:]]
        status, said = self.server.fake.answer(self.command, path, body)
        if isinstance(said, str):
            said = {"error": {"code": status, "message": said}}
        data = json.dumps(said).encode() if said is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def fake_storage() -> Iterator[FakeStorage]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = server.fake = FakeStorage()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/storage/v1/"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
