"""`rnnsent verify`."""

from __future__ import annotations

from pathlib import Path

import click

from rnnsent.cli.options import json_option, opened, run_argument, show


@click.command(name="verify")
@run_argument
@click.option(
    "--backend",
    "backends",
    type=click.Choice(["native", "numpy", "keras"]),
    multiple=True,
    help="What to compare; again for more [all].",
)
@json_option
def command(run: Path | None, backends: tuple[str, ...], as_json: bool) -> None:
    """Check a finished RUN: its files, and that all backends agree.

    Compares the files with the hashes in the manifest, and the probabilities
    of every backend with those of the NumPy reference on built-in texts.
    Exits 1 if one differs.
    """
    import json
    from dataclasses import asdict

    from rnnsent.errors import RunError
    from rnnsent.inference.verify import BACKENDS, verify

    found = opened(run)
    checks = []
    for check in verify(found, backends or BACKENDS):
        checks.append(check)
        if not as_json:
            show(f"{'ok    ' if check.passed else 'FAILED'} {check.name:<11} {check.found}")
    failed = [check.name for check in checks if not check.passed]
    if as_json:
        click.echo(json.dumps({"run": str(found), "passed": not failed, "checks": [asdict(each) for each in checks]}))
    if failed:
        raise RunError(f"{found}: verification failed: {', '.join(failed)}")
