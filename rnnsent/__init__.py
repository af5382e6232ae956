"""Train, evaluate and ship recurrent sentiment classifiers from one YAML file.

run = rnnsent.train("lstm", data="reviews.csv")
classifier = rnnsent.load(run)
classifier.predict(["a fine film"])[0].label
classifier.trace("slow at first, but then wonderful")
rnnsent.evaluate(run)
rnnsent.compare(run, "runs/another")
rnnsent.report(run).write("report.html")

With scikit-learn: from rnnsent.sklearn import SentimentClassifier
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnnsent import display
from rnnsent.version import __version__

if TYPE_CHECKING:
    from rnnsent.api import compare, evaluate, report, suspects, train
    from rnnsent.data.vocabulary import Vocabulary
    from rnnsent.errors import (
        ConfigError,
        DataError,
        DataUnavailable,
        DeviceError,
        Interrupted,
        RnnsentError,
        RunError,
        TrainingError,
    )
    from rnnsent.inference.classifier import load

__all__ = [
    "ConfigError", "DataError", "DataUnavailable", "DeviceError", "Interrupted", "RnnsentError", "RunError",
    "TrainingError", "Vocabulary", "__version__", "compare", "evaluate", "load", "report", "suspects", "train",
]  # fmt: skip

_MODULES = {
    "Vocabulary": "data.vocabulary",
    "load": "inference.classifier",
    **dict.fromkeys(("compare", "evaluate", "report", "suspects", "train"), "api"),
}


display.renderer = lambda: import_module("rnnsent.reporting.notebook")


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: `rnnsent --help` needs none of it.
    if name in __all__:
        return getattr(import_module(f"rnnsent.{_MODULES.get(name, 'errors')}"), name)
    raise AttributeError(f"module 'rnnsent' has no attribute {name!r}")
