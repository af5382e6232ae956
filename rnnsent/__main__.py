"""`rnnsent` and `python -m rnnsent`."""

from __future__ import annotations

from rnnsent.cli.main import cli


def main() -> None:
    """Run the command line."""
    cli(prog_name="rnnsent")


if __name__ == "__main__":
    main()
