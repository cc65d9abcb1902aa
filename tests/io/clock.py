"""A clock for whatever takes one as a function."""

__all__ = ("ManualClock",)


class ManualClock:
    """Monotonic seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at
