"""Train, judge and ship recurrent sentiment classifiers from one YAML file.

trained = rnnsent.train("lstm", data="reviews.csv")
classifier = rnnsent.load(trained.run)
classifier.predict(["a fine film"])[0].label
classifier.trace("slow at first, but then wonderful")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnsent.api import train
    from rnnsent.data.vocabulary import Vocabulary
    from rnnsent.inference.classifier import load

__version__ = "0.1.0"
__all__ = ["Vocabulary", "__version__", "load", "train"]


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: `rnnsent --help` needs none of it.
    if name == "load":
        from rnnsent.inference.classifier import load

        return load
    if name == "train":
        from rnnsent.api import train

        return train
    if name == "Vocabulary":
        from rnnsent.data.vocabulary import Vocabulary

        return Vocabulary
    raise AttributeError(f"module 'rnnsent' has no attribute {name!r}")
