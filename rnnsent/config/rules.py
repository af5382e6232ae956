"""What in a config cannot go together, though every value is valid by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rnnsent.config import Config, DataConfig, ScheduleConfig
from rnnsent.config.cells import CELLS
from rnnsent.config.yaml_reader import KeyPath

Conflict = tuple[KeyPath, str, Any]  # where, the rule, the value given


def conflicts(config: Config, *, to_train: bool = False) -> list[Conflict]:
    """Return the combinations of valid values that cannot go together, or, `to_train`, cannot be trained."""
    rules = (*_RULES, training_rules) if to_train else _RULES
    found = [conflict for rule in rules for conflict in rule(config)]
    for place, member in enumerate(config.members if config.ensemble is not None else ()):
        own = [conflict for rule in (_stack_rules, _engine_rules) for conflict in rule(member)]
        found += [(("ensemble", place, *path[1:]), *rest) for path, *rest in own if path[0] == "model"]
    return found


_OF_TEXTS = (
    "test_path", "test_split", "split_seed", "format", "encoding", "delimiter", "quotes", "text_column", "label_column",
    "split_column", "group_column", "label_map", "labels", "drop_duplicates", "unlabeled", "tokenizer", "vocabulary",
)  # fmt: skip


def _data_rules(config: Config) -> Iterator[Conflict]:
    data = config.data
    if data.padding == "notebook" and data.maxlen is None:
        yield ("data", "maxlen"), "padding: notebook pads every review to maxlen, so it needs a number", None
    if data.source == "sample" and data.path is not None:
        yield ("data", "path"), "source: sample is built in and takes no path", data.path
    if data.source == "texts":
        yield from _texts_rules(data)
        return
    for key in _OF_TEXTS:
        given, default = getattr(data, key), getattr(DataConfig, key)
        if given != default:
            yield ("data", key), f"has no effect under source: {data.source}; leave it out", given


def _texts_rules(data: DataConfig) -> Iterator[Conflict]:
    if data.path is None:
        yield ("data", "path"), "must name a file or folder under source: texts", None
    if data.fallback is not None:
        yield ("data", "fallback"), "must be null under source: texts: nothing stands in for your texts", data.fallback
    if data.vocabulary == "imdb" and data.tokenizer != "imdb":
        yield ("data", "tokenizer"), "must be imdb under vocabulary: imdb", data.tokenizer
    labels = data.labels or ()
    twice = next((name for name in labels if labels.count(name) > 1), None)
    if twice is not None:
        yield ("data", "labels"), "must name each label once", twice


def _stack_rules(config: Config) -> Iterator[Conflict]:
    model = config.model
    last = len(model.recurrent) - 1
    for index, layer in enumerate(model.recurrent):
        here: KeyPath = ("model", "recurrent", index)
        if index < last and layer.return_sequences is False:
            yield (*here, "return_sequences"), "must be null or true before another recurrent layer", False
        if CELLS[layer.cell].reset_before is None and layer.reset_after is not None:
            names = " and ".join(name for name, cell in CELLS.items() if cell.reset_before)
            yield (*here, "reset_after"), f"only cell: {names} has this key", layer.reset_after
    returns = model.recurrent[last].return_sequences
    place: KeyPath = ("model", "recurrent", last, "return_sequences")
    if returns is False and model.pooling != "last":
        yield place, f"pooling: {model.pooling} needs the whole sequence", returns
    if returns is True and model.pooling == "last" and (model.head or model.dense):
        yield place, "dense layers and head need one vector a review: pool the states, or set head: false", returns


def _schedule_rules(config: Config) -> Iterator[Conflict]:
    schedule = config.training.schedule
    place: KeyPath = ("training", "schedule")
    plateau = schedule.kind == "plateau"
    if plateau and schedule.warmup_steps:
        yield (*place, "warmup_steps"), "kind: plateau has no warm-up, set it to 0", schedule.warmup_steps
    unused = [] if plateau else ["factor", "patience"]
    for key in [*unused, *(["final_fraction"] if schedule.kind == "constant" else [])]:
        given, default = getattr(schedule, key), getattr(ScheduleConfig, key)
        if given != default:
            yield (*place, key), f"has no effect under kind: {schedule.kind}; leave it out", given


def _engine_rules(config: Config) -> Iterator[Conflict]:
    if config.training.engine != "native":
        return
    if config.training.precision != "float32":
        rule = "must be float32 under engine: native"
        yield ("training", "precision"), rule, config.training.precision
    for index, layer in enumerate(config.model.recurrent):
        if layer.kind.native is None and layer.reset_after is not False:
            yield ("model", "recurrent", index, "cell"), "is not in the native kernel; set engine: auto", layer.cell
        for key, valid in (("activation", "tanh"), ("recurrent_dropout", 0.0), ("reset_after", None)):
            given = getattr(layer, key)
            if given != valid and given is not True:
                rule = f"must be {'true' if valid is None else valid} under engine: native"
                yield ("model", "recurrent", index, key), rule, given


def _ensemble_rules(config: Config) -> Iterator[Conflict]:
    members = config.members
    for place, member in enumerate(members):
        if member in members[:place]:
            rule = f"is the same network as ensemble.{members.index(member)}, seed included"
            yield ("ensemble", place), rule, member.training.seed
    widths: dict[str, int] = {}  # of files of vectors, by the first network that reads each
    for place, member in enumerate(members):
        vectors, width = member.model.vectors, member.model.embedding_dim
        if vectors is not None and vectors.path is not None and widths.setdefault(vectors.path, width) != width:
            rule = f"must be {widths[vectors.path]}, as in the others: {vectors.path} has vectors of one width"
            yield ("ensemble", place, "embedding_dim"), rule, width


def _ngrams_rules(config: Config) -> Iterator[Conflict]:
    ngrams = config.model.ngrams
    if ngrams is None:
        for place, member in enumerate(config.ensemble or ()):
            if member.ngrams is False:
                yield ("ensemble", place, "ngrams"), "has no effect under model.ngrams: null; leave it out", False
    elif len(set(ngrams.weights)) < len(ngrams.weights):
        yield ("model", "ngrams", "weights"), "must name each kind once", ", ".join(ngrams.weights)


def _vectors_rules(config: Config) -> Iterator[Conflict]:
    vectors = config.model.vectors
    if vectors is not None and (vectors.path is None) == (vectors.word2vec is None):
        given = None if vectors.path is None else f"path {vectors.path}, and word2vec"
        rule = "needs path or word2vec, and not both; set the other to null"
        yield ("model", "vectors"), rule, given


def _language_model_rules(config: Config) -> Iterator[Conflict]:
    if config.model.language_model is not None and config.data.padding == "notebook":
        rule = "must be null under padding: notebook, which reads padding as words"
        yield ("model", "language_model"), rule, config.model.language_model.to_dict()


def _teacher_rules(config: Config) -> Iterator[Conflict]:
    if config.training.teacher is not None and not config.data.unlabeled:
        rule = "needs data.unlabeled: true, texts to teach"
        if config.data.source != "texts":
            rule = f"must be null under source: {config.data.source}; it needs source: texts and data.unlabeled: true"
        yield ("training", "teacher"), rule, config.training.teacher
    if config.training.teacher != "self" and config.training.teacher_rounds > 1:
        yield ("training", "teacher_rounds"), "has no effect but under teacher: self", config.training.teacher_rounds


def _adversarial_rules(config: Config) -> Iterator[Conflict]:
    training = config.training
    if training.adversarial is None or not training.without_labels:
        return
    place: KeyPath = ("training", "adversarial", "unlabeled")
    if training.adversarial.kind != "virtual":
        yield place, "needs kind: virtual, an adversary that asks for no labels", True
    if not config.data.unlabeled:
        yield place, "needs source: texts and data.unlabeled: true, texts without a label", True
    if training.teacher is not None:
        rule = "must be null under adversarial.unlabeled, which trains on the same texts without a label"
        yield ("training", "teacher"), rule, training.teacher
    if training.class_weights is not None:
        rule = "must be null under adversarial.unlabeled, where texts have no label to weigh"
        yield ("training", "class_weights"), rule, training.class_weights


def _tracker_rules(config: Config) -> Iterator[Conflict]:
    names = config.training.trackers
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        yield ("training", "trackers"), "must name each tracker once", twice


def label_rules(config: Config) -> Iterator[Conflict]:
    """Yield what does not fit the labels, if they are known: those of texts are not before these are read."""
    weights = config.training.class_weights
    if config.data.source == "texts" and config.data.labels is None:
        return
    names = config.data.label_names
    if isinstance(weights, dict) and set(weights) != set(names):
        rule = f"must name every label once: {', '.join(names)}"
        yield ("training", "class_weights"), rule, ", ".join(weights)


def training_rules(config: Config) -> Iterator[Conflict]:
    """Yield what keeps a config from being trained, though it can be summarized."""
    if not config.model.head:
        yield ("model", "head"), "must be true to train: without it there is no loss", False
    if config.ensemble is not None and len(config.ensemble) < 2:  # a training that was stopped may leave one
        yield ("ensemble",), "must have at least 2 items", len(config.ensemble)


_RULES: tuple[Callable[[Config], Iterator[Conflict]], ...] = (
    _data_rules,
    _stack_rules,
    _schedule_rules,
    _engine_rules,
    label_rules,
    _teacher_rules,
    _adversarial_rules,
    _tracker_rules,
    _ngrams_rules,
    _vectors_rules,
    _language_model_rules,
    _ensemble_rules,
)
