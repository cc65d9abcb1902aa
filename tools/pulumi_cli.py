"""Makes sure that the Pulumi program is on this machine: finds, downloads or builds it.

Where there is no download site but a Go toolchain with a module proxy, the program is built from
its published modules, at the versions of tools/pulumi-cli/go.sum. That takes minutes, once: the
result lies in the user's cache, outside the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from buildflow_nb.core.errors import InfraError
from buildflow_nb.infra.pulumi.cli import Cli, cached_root, find_cli, get_cli

MODULE = Path(__file__).parent / "pulumi-cli"
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
BUILD_S = 3600.0  # 4 minutes on two cores; far more on a small or a busy machine


def main() -> int:
    """Say which program is used; 1 if none can be had."""
    try:
        cli = get_cli(print)
    except InfraError as error:
        go = shutil.which("go")
        if go is None:
            print(error, file=sys.stderr)
            return 1
        try:
            cli = build(go)
        except (subprocess.SubprocessError, OSError) as failed:
            print(f"{error}; the build with {go} failed as well: {failed}", file=sys.stderr)
            return 1
    print(cli)
    return 0


def build(go: str) -> Cli:
    """Build the program with a Go toolchain."""
    wanted = version("pulumi")
    target = cached_root() / "bin" / "pulumi"
    partial = target.with_name(f"pulumi.{os.getpid()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    print(
        f"building Pulumi {wanted} from its Go modules into {target.parent}: "
        "about 4 minutes on two cores, once",
        flush=True,
    )
    began = time.monotonic()
    words = [
        go,
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-tags",
        "osusergo,grpcnotrace",
        "-ldflags",
    ]
    words += [f"-s -w -X {VERSION}=v{wanted}", "-o", str(partial), PACKAGE]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    subprocess.run(words, cwd=MODULE, env=environment, check=True, timeout=BUILD_S)
    partial.replace(target)  # whole or not at all, also if two set-ups build at once
    print(f"built in {time.monotonic() - began:.0f} s")
    found = find_cli()
    if found is None:
        msg = f"{target} was built but does not fit pulumi {wanted}; see tools/pulumi-cli/go.mod"
        raise InfraError(msg)
    return found


if __name__ == "__main__":
    sys.exit(main())
