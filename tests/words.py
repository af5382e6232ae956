"""Finds words that nobody outside of this project uses in docs, templates, code and tests: `python -m tests.words`."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORDS = re.compile(
    r"\b(anew|foretell\w*|foretold|skeptics?|for\s+people|but\s+for|told\s+apart|tell\s+apart|judg\w+|what\s+is\s+to\s+be"
    r"|so\s+many|vouch\w*)\b",
    re.IGNORECASE,
)
LOGS = {"CHANGELOG.md", "research-log.md"}


def pages() -> list[Path]:
    """Return the pages of the docs except logs; docs/cli.md and docs/config.md hold the help texts."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return sorted(path for path in paths if path.name not in LOGS)


def hits() -> Iterator[str]:
    """Yield `FILE:LINE: WORD` for each hit in pages and templates, and in the strings of rnnsent and tests."""
    for path in [*pages(), *sorted((ROOT / "rnnsent/reporting/templates").iterdir())]:
        yield from _hits(path, 1, path.read_text(encoding="utf-8"))
    for path in sorted({*ROOT.glob("rnnsent/**/*.py"), *ROOT.glob("tests/**/*.py")} - {Path(__file__)}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from _hits(path, node.lineno, node.value)


def _hits(path: Path, first: int, text: str) -> Iterator[str]:
    for match in WORDS.finditer(text):
        line = first + text.count("\n", 0, match.start())
        yield f"{path.relative_to(ROOT)}:{line}: {' '.join(match.group().split())}"


if __name__ == "__main__":
    lines = list(hits())
    print("\n".join(lines))
    sys.exit(bool(lines))
