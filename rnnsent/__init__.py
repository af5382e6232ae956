"""Train, judge and ship recurrent sentiment classifiers from one YAML file.

`rnnsent.load(run).predict(texts)` answers about texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnsent.classifier import load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: `rnnsent --help` needs none of it.
    if name == "load":
        from rnnsent.classifier import load

        return load
    raise AttributeError(f"module 'rnnsent' has no attribute {name!r}")
