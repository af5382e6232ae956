"""What a config needs before it can be trained: files that it names, and libraries that only some configs need."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rnnsent.config.rules import label_rules, training_rules
from rnnsent.config.sections import Config
from rnnsent.config.yaml_reader import dotted
from rnnsent.data.sources import expanded
from rnnsent.engine.device import Device, require_device
from rnnsent.engine.dispatch import choose
from rnnsent.errors import ConfigError, Problem, installed


def require_trainable(config: Config) -> None:
    """Require what training a config needs, before anything is read.

    Raises:
        ConfigError: naming everything that is missing, or why the native kernel cannot run it.
        DeviceError: if a GPU is asked for, and there is no driver of one; in a fork of a process that uses Keras.
    """
    require_device(config.training.device)
    if config.training.engine == "native":
        for member in config.members:
            choose(member, Device("cpu", "", "tensorflow", 1))  # what is impossible there is so everywhere
    rules = (*training_rules(config), *label_rules(config))
    problems = [Problem("", dotted(path), rule, json.dumps(value)) for path, rule, value in rules]
    vectors = config.model.vectors
    path = None if vectors is None else vectors.path
    if path is not None and not (file := expanded(path, "model.vectors.path")).is_file():
        rule = "is a folder: name the file of vectors in it" if file.is_dir() else "no such file"
        problems.append(Problem("", "model.vectors.path", rule, path))
    for module, key, extra in _needed(config):
        if not installed(module):
            package = {"sklearn": "scikit-learn"}.get(module, module)
            rule = f"needs {package}: pip install 'rnnsent[{extra}]'"
            problems.append(Problem("", key, rule, None))
    if problems:
        raise ConfigError(problems)


def _needed(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield the modules that only some configs need, which key asks for each, and the extra that brings it."""
    model = config.model
    if model.vectors is not None and model.vectors.word2vec is not None and config.training.initial_run is None:
        yield "gensim", "model.vectors.word2vec", "word2vec"
    if model.ngrams is not None and "regression" in model.ngrams.weights:
        yield "sklearn", "model.ngrams.weights", "baseline"
    if config.training.teacher == "baseline":
        yield "sklearn", "training.teacher", "baseline"
    for name in config.training.trackers:
        yield name, "training.trackers", name
