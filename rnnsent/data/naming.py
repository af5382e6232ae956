"""What a name on the command line, or in Python, means as a source of reviews."""

from __future__ import annotations

from pathlib import Path


def data_settings(source: str) -> dict[str, str | None]:
    """Return what `--data SOURCE` sets in the data section: the name of a source, or the path of imdb.npz or texts."""
    path = Path(source)
    if source in ("imdb", "sample"):
        # The sample takes no path, and `--data imdb` means the usual places.
        return {"source": source, "path": None}
    if path.suffix == ".npz" or (path / "imdb.npz").is_file():
        return {"source": "imdb", "path": source}
    if path.exists() or path.suffix or path.name != source:
        return {"source": "texts", "path": source, "fallback": None}
    return {"source": source, "path": None}
