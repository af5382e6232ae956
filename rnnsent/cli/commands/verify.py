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
    help="Backend to compare; may be repeated. [default: all]",
)
@json_option
def command(run: Path | None, backends: tuple[str, ...], as_json: bool) -> None:
    """Check the files of a finished RUN, and that all backends agree.

    Compares the hashes of its files with the manifest, and the predictions of
    every backend for a fixed set of texts. Exits 1 if anything differs.
    """
    import json
    from dataclasses import asdict

    from rnnsent.errors import RunError
    from rnnsent.inference import verify as probes

    found = opened(run)

    def tell(check: probes.Check) -> None:
        if not as_json:
            show(f"{'ok    ' if check.passed else 'FAILED'} {check.name:<11} {check.found}")

    checks = probes.verify(found, backends or probes.BACKENDS, tell)
    failed = [check.name for check in checks if not check.passed]
    if as_json:
        click.echo(json.dumps({"run": str(found), "passed": not failed, "checks": [asdict(each) for each in checks]}))
    if failed:
        raise RunError(f"{found}: not as it was finished: {', '.join(failed)}")
