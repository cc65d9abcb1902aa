"""A proxy for gRPC of this machine that does what networks and services do on bad days.

`plan` looks at each call (its method, such as "Acknowledge", and its request in bytes) and says
what happens to it: nothing (`None`: it is passed on) or a `Fault` instead of its answer. About a
streaming pull it is asked again, as "StreamingPull answer", after every answer.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import grpc

__all__ = ("Fault", "GrpcProxy")

UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
UPSTREAM_S = 30.0
THREADS = 32  # a stream keeps one for as long as it lasts


@dataclass(frozen=True)
class Fault:
    """A refusal in the service's place; `passed_on` when the service has done the work."""

    code: grpc.StatusCode
    passed_on: bool = False
    trailers: tuple[tuple[str, bytes], ...] = ()


Plan = Callable[[str, bytes], Fault | None]


class GrpcProxy:
    """Passes calls on to another server of this machine, from `url`."""

    def __init__(self, upstream: str, plan: Plan = lambda _method, _request: None) -> None:
        self.plan = plan
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._channel = grpc.insecure_channel(upstream.removeprefix("http://"), options=UNLIMITED)
        self._server = grpc.server(ThreadPoolExecutor(THREADS), options=UNLIMITED)
        self._server.add_generic_rpc_handlers((_Everything(self),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.url = f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait(UPSTREAM_S)
        self._channel.close()

    def unary(self, path: str, request: bytes, context: Any) -> bytes:
        fault = self._asked(path.rpartition("/")[2], request)
        if fault is not None and not fault.passed_on:
            _refuse(context, fault)
        try:
            answer = self._channel.unary_unary(path)(request, timeout=UPSTREAM_S)
        except grpc.RpcError as error:
            context.set_trailing_metadata(error.trailing_metadata())
            context.abort(error.code(), error.details())
        if fault is not None:
            _refuse(context, fault)
        return answer

    def stream(self, path: str, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        fault = self._asked(path.rpartition("/")[2], b"")
        if fault is not None:
            _refuse(context, fault)
        answers = self._channel.stream_stream(path)(requests)
        context.add_callback(answers.cancel)
        try:
            for answer in answers:
                yield answer
                fault = self._asked("StreamingPull answer", answer)
                if fault is not None:
                    answers.cancel()
                    _refuse(context, fault)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())

    def _asked(self, method: str, request: bytes) -> Fault | None:
        with self._lock:
            self.seen[method] += 1
            return self.plan(method, request)


def _refuse(context: Any, fault: Fault) -> None:
    context.set_trailing_metadata(fault.trailers)
    context.abort(fault.code, "as planned")


class _Everything(grpc.GenericRpcHandler):
    """Handles every method, in bytes."""

    def __init__(self, proxy: GrpcProxy) -> None:
        self._proxy = proxy

    def service(self, details: Any) -> Any:
        path = details.method
        if path.endswith("/StreamingPull"):
            return grpc.stream_stream_rpc_method_handler(
                lambda requests, context: self._proxy.stream(path, requests, context)
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._proxy.unary(path, request, context)
        )


def every(nth: int, fault: Fault, methods: Sequence[str]) -> Plan:
    """A plan in which the first of these calls fails, and then each `nth`."""
    calls: Counter[str] = Counter()

    def plan(method: str, _request: bytes) -> Fault | None:
        if method not in methods:
            return None
        calls[method] += 1
        return fault if calls[method] % nth == 1 else None

    return plan
