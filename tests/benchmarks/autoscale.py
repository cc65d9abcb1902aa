"""The rule that scales, beside BuildFlow 0.3's and Ray Serve's, on made-up loads in a model."""

from __future__ import annotations

import sys

from buildflow_nb.core.options import ConsumerOptions
from tests.autoscale.rules import BuildFlows, Ours, Serves
from tests.autoscale.simulation import LOADS, run

MOST = 40


def main() -> None:
    """Print a line for each load and rule."""
    out = sys.stdout.write
    out(f"\nscaling of a consumer in a model; at most {MOST} replicas, each does 10 elements/s\n")
    out(f"  {'load':<36}{'rule':<11}{'most':>5}{'of need':>8}{'late':>8}{'end':>8}{'changes':>9}")
    out(f"{'replica-s':>11}\n")
    for load in LOADS:
        for kind, name in ((Ours, "ours"), (BuildFlows, "BuildFlow"), (Serves, "Serve")):
            options = ConsumerOptions(min_replicas=0 if load.name.startswith("idle") else 1)
            course = run(load, kind(options, MOST))
            title = load.name if kind is Ours else ""
            out(f"  {title:<36}{name:<11}{max(course.replicas):>5}{course.overshoot:>7.1f}x")
            out(f"{course.late_s():>6} s{course.backlog[-1]:>8,}{course.changes:>9}")
            out(f"{course.replica_seconds:>11,}\n")
    out("  late: seconds in which the backlog was more than a minute's work for what is needed\n")
    out("  end: what waits at the end\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
