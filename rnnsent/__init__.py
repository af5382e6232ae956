"""Train, evaluate and ship recurrent sentiment classifiers from one YAML file.

run = rnnsent.train("lstm", data="reviews.csv")
classifier = rnnsent.load(run)
classifier.predict(["a fine film"])[0].label
classifier.trace("slow at first, but then wonderful")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnnsent.version import __version__

if TYPE_CHECKING:
    from rnnsent.api import evaluate, train
    from rnnsent.data.vocabulary import Vocabulary
    from rnnsent.inference.classifier import load

__all__ = ["Vocabulary", "__version__", "evaluate", "load", "train"]

_MODULES = {
    "Vocabulary": "data.vocabulary",
    "evaluate": "api",
    "load": "inference.classifier",
    "train": "api",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: `rnnsent --help` needs none of it.
    if name in _MODULES:
        return getattr(import_module(f"rnnsent.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'rnnsent' has no attribute {name!r}")
