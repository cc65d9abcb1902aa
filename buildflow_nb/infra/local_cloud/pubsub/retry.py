"""How long a message that came back waits before it is delivered again."""

from __future__ import annotations

from dataclasses import dataclass

from buildflow_nb.infra.local_cloud.pubsub.proto import Pb

__all__ = ("DEFAULT_MAXIMUM_S", "DEFAULT_MINIMUM_S", "Backoff", "seconds")

DEFAULT_MINIMUM_S = 10.0  # defaults of google.pubsub.v1.RetryPolicy
DEFAULT_MAXIMUM_S = 600.0
_MOST_DOUBLINGS = 20  # beyond any maximum; keeps the power small


def seconds(duration: Pb) -> float:
    """Give a protobuf duration in seconds."""
    return float(duration.seconds + duration.nanos / 1e9)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off between two bounds in seconds."""

    minimum_s: float = 0.0
    maximum_s: float = 0.0

    @classmethod
    def of(cls, config: Pb) -> Backoff:
        """Read a subscription's retry policy; without one, messages come back at once."""
        if not config.HasField("retry_policy"):
            return cls()
        policy = config.retry_policy
        return cls(seconds(policy.minimum_backoff), seconds(policy.maximum_backoff))

    def delay(self, failures: int) -> float:
        """Give the wait in seconds after so many failed deliveries, 1 or more."""
        return min(self.maximum_s, self.minimum_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
