"""`rnnsent verify`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rnnsent.cli import options
from rnnsent.cli.options import Command, opened, show

BACKENDS = click.Choice(["native", "numpy", "keras"])


@click.command(name="verify", cls=Command)
@options.run
@click.option("--backend", "backends", type=BACKENDS, multiple=True, help="Backend to compare.  [default: all]")
@options.as_json
def command(run: Path | None, backends: tuple[str, ...], as_json: bool) -> None:
    """Check the files of RUN, and that all backends agree.

    Compare the files with the hashes in the manifest, and the probabilities
    of every backend with those of the NumPy reference on built-in texts.
    Exit with 1 if one differs. --backend can be repeated.
    [default: the latest run]
    """
    from dataclasses import asdict

    from rnnsent.errors import RunError
    from rnnsent.inference.verify import BACKENDS, verify

    finished = opened(run)
    checks = []
    for check in verify(finished, backends or BACKENDS):
        checks.append(check)
        if not as_json:
            show(f"{'ok    ' if check.passed else 'FAILED'} {check.name:<11} {check.found}")
    failed = [check.name for check in checks if not check.passed]
    if as_json:
        values = {"run": str(finished), "passed": not failed, "checks": [asdict(check) for check in checks]}
        click.echo(json.dumps(values))
    if failed:
        raise RunError(f"{finished}: verification failed: {', '.join(failed)}")
