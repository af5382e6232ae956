"""Training from Python, in one call: what people in notebooks use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rnnsent.config import Config
from rnnsent.config.loader import load_config
from rnnsent.data.naming import data_settings
from rnnsent.training import experiment
from rnnsent.training.experiment import Trained


def train(
    config: str | Path | Config,
    settings: Mapping[str, Any] | None = None,
    *,
    data: str | Path | None = None,
    run_dir: str | Path | None = None,
    force: bool = False,
    tell: Callable[[str], None] = print,
) -> Trained:
    """Train what a config describes and return the finished run, as `rnnsent train` does.

    Args:
        config: the path of a YAML file, the name of a shipped config such as "lstm", or a `Config`.
        settings: keys of the config by their dotted names, such as `{"training.epochs": 3}`; not for a `Config`.
        data: a file or folder of texts, or "imdb" or "sample", as `--data` on the command line.
        run_dir: where the run goes; None chooses `runs/NAME-DATE-N`.
        force: replace the run in `run_dir`.
        tell: told, in lines for people, what is used and how each epoch went; `lambda line: None` is silent.

    Returns:
        The run, for `rnnsent.load`, and what its metrics.json says.

    Raises:
        RnnsentError: whatever is wrong with config, data, device or disk.

    Example:
        >>> trained = rnnsent.train("lstm", data="reviews.csv")
        >>> rnnsent.load(trained.run).predict(["a fine film"])[0].label
    """
    from rnnsent.cli.progress import epoch_line
    from rnnsent.training.observers import EpochFacts, Observer

    if isinstance(config, Config):
        if settings or data is not None:
            raise TypeError("settings and data are for a config by name or path; a Config has its own")
        found, name = config, "config"
    else:
        named = {} if data is None else data_settings(str(data))
        overrides = dict(settings or {}) | {f"data.{key}": value for key, value in named.items()}
        found, name = load_config(str(config), overrides, to_train=True), Path(config).stem

    class Told(Observer):
        def on_epoch(self, facts: EpochFacts, best: bool, model: Any) -> None:
            tell(epoch_line(facts, found.training.epochs, best))

    where = Path(run_dir) if run_dir is not None else None
    return experiment.train(found, name, run_dir=where, force=force, tell=tell, observers=[Told()])
