"""Whether a training can go on with what was changed: found out before a single file of its run is touched."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from rnnsent.config import Config
from rnnsent.data.split import Split
from rnnsent.data.vocabulary import FIRST_WORD, Vocabulary
from rnnsent.engine.device import Device
from rnnsent.errors import RunError, count
from rnnsent.models.weights import require_shapes, weight_shapes
from rnnsent.runs import directory as runs
from rnnsent.runs import schemas as records
from rnnsent.runs import sealed
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.manifest import RESTORE
from rnnsent.signals import HeldSignals
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.checkpoint import Checkpoint
from rnnsent.training.features import Prepared
from rnnsent.training.fingerprint import Origin, digest_of
from rnnsent.training.trainer import batches, in_training, places

# What no array of a checkpoint depends on: it need not be compared with a network built for that.
_OUTSIDE = ("config.training.epochs", "config.training.early_stopping", "config.training.calibrate", "data.")
# What weights begin with, or are put in order by.
_BEGINNING = re.compile(r"config\.model\.(vectors|language_model)\b|data\.vectors")
# What acts on the steps of a training; how it is kept and told of does not.
_OF_TRAINING = re.compile(r"config\.(model|ensemble|training)\b(?!\.(checkpoint_every|trackers|device|engine)\b)")
_OF_MEMBER = re.compile(r"config\.ensemble\.(\d+)\b")
_LABELS = re.compile(r"config\.data\.labels\b")
_ADVICE = "  Undo the change, or train anew with another --run-dir; nothing of this run was touched"


@dataclass(frozen=True)
class _Part:
    """One network of a run: where it is kept, its own config, and texts as many and as long as it is trained on."""

    run: RunDirectory
    config: Config
    train: Split


def require_possible(
    run: RunDirectory, then: Origin, changed: Collection[str], reviews: Prepared, device: Device
) -> None:
    """Refuse a training whose checkpoints are not of the networks that it would go on with.

    Args:
        run: with the identity of its training.
        then: what that came from.
        changed: the keys of what is no longer so, as `origin.changes` gives them.
        reviews, device: what it would go on with.

    Raises:
        RnnsentError: naming what cannot be, and what would be right.
    """
    parts = list(_parts(run, reviews))
    if any(checkpoints.names(part.run) for part in parts):
        _require_same_meaning(run, then, changed, reviews)
    _require_all_wanted(run, changed, parts)
    _require_effect(run, changed, parts, len(parts) - len(reviews.config.members))
    for part in parts:
        steps = len(batches(part.train, part.config, device, shuffle=True))
        there = checkpoints.steps(part.run)
        # Training reads the checkpoint anyway: of one that merely goes on only what its names do not say is left to it.
        if changed or run.finished or max(there, default=steps + 1) > steps:
            begin = checkpoints.newest(part.run, quietly=True)
            if begin is not None:
                _require_within_epoch(part, begin, steps, changed)
                _require_fitting(part, begin, changed, reviews, device)


def _parts(run: RunDirectory, reviews: Prepared) -> Iterator[_Part]:
    """Yield the networks of a run in the order in which they are trained."""
    config, train = reviews.config, reviews.train
    for number in range(1, config.training.teaching_networks + 1):
        yield _Part(run.teacher(number), config.members[0], train)
        train = _beside(reviews.parts.train, reviews.parts.unlabeled)
    for place, member in zip(places(run, config), config.members, strict=True):
        yield _Part(place, member, train)


def _beside(train: Split, texts: Split | None) -> Split:
    """Return `train` with `texts` beside it as if they were labeled, for the number of their batches alone."""
    assert texts is not None
    starts, lengths = (np.concatenate([getattr(train, name), getattr(texts, name)]) for name in ("starts", "lengths"))
    return replace(train, starts=starts, lengths=lengths, channels=None)


def _require_same_meaning(run: RunDirectory, then: Origin, changed: Collection[str], reviews: Prepared) -> None:
    """Refuse what has the right shape, and stands for something else."""
    data = then["config"].get("data")
    was, now = data.get("labels") if isinstance(data, dict) else None, reviews.config.data.labels
    if any(map(_LABELS.match, changed)) and isinstance(was, list) and now is not None:
        labels = f"{', '.join(map(str, was))}, and these are others: {', '.join(now)}"
        raise _refusal(run, f"the outputs of the network stand for the labels {labels}")
    if "data.vocabulary" in changed:
        other = _other_word(run, then, reviews.parts.vocabulary, same_ids="config.data.source" not in changed)
        if other is not None:
            raise _refusal(run.file(runs.VOCABULARY), f"the rows of the embedding stand for words; {other}")
    if "config.training.monitor" in changed:
        training = then["config"].get("training")
        was = training.get("monitor") if isinstance(training, dict) else None
        raise _refusal(run, f"the best epoch so far, early stopping and a plateau went by training.monitor: {was}")
    begun = next(filter(_BEGINNING.match, changed), None)
    if begun is not None:
        raise _refusal(run, f"{begun} is what a network begins with, and there are weights that have begun")


def _other_word(run: RunDirectory, then: Origin, now: Vocabulary, *, same_ids: bool) -> str | None:
    """Return the first row of the embedding that stands for another word than it did, if one does.

    Args:
        run: whose vocabulary.json has the words of then.
        then: what the training came from.
        now: the words of now.
        same_ids: whether ids are the same where a side knows no words for them.
    """
    path = run.file(runs.VOCABULARY)
    was = Vocabulary.load(path)
    if digest_of(was) != then["data"].get("vocabulary"):
        raise RunError(f"{path}: is not what the training began with, and tells what its weights stand for. {RESTORE}")
    if not (was.words and now.words) and same_ids:
        return None
    words = (each.words[: max(each.size - FIRST_WORD, 0)] for each in (was, now))
    for row, (before, after) in enumerate(zip_longest(*words), start=FIRST_WORD):
        if before != after:
            shown = ("no word" if word is None else repr(word) for word in (before, after))
            return "row {} stood for {}, and now for {}".format(row, *shown)
    return None


def _require_all_wanted(run: RunDirectory, changed: Collection[str], parts: Collection[_Part]) -> None:
    """Refuse to leave networks in a run that no longer has them: their weights would answer with the others."""
    if "networks" not in changed:
        return
    wanted = {part.run.path for part in parts}
    for name in run.names():
        path = run.file(name)
        kept = path.name == runs.WEIGHTS or path.parent.name == runs.CHECKPOINTS
        network = path.parent.parent if path.parent.name == runs.CHECKPOINTS else path.parent
        if kept and network not in wanted and not name.startswith(runs.TEACHER):
            raise _refusal(network, "holds a network that the config would no longer have")


def _require_effect(run: RunDirectory, changed: Collection[str], parts: Sequence[_Part], teachers: int) -> None:
    """Refuse a change that no step would be taken with: the run would say that its weights come from it.

    Args:
        run: that goes on.
        changed: keys.
        parts: the networks of the run, those that teach first.
        teachers: how many of them teach.
    """
    asked = [key for key in changed if _OF_TRAINING.match(key) and not key.startswith(_OUTSIDE)]
    if not asked:
        return
    over = [_is_over(part) for part in parts]
    for key in asked:
        own = _OF_MEMBER.match(key)
        place = teachers + int(own[1]) if own is not None else None
        if all(over) if place is None or place >= len(over) else over[place]:
            raise _refusal(run, f"no epoch is left that {key} would have an effect on; --epochs N trains on")


def _is_over(part: _Part) -> bool:
    begin = checkpoints.newest(part.run, quietly=True)
    return begin is not None and checkpoints.is_over(begin, part.config.training)


def _require_within_epoch(part: _Part, begin: Checkpoint, steps: int, changed: Collection[str]) -> None:
    """Refuse to go on after more steps than there are; after the last one an epoch has its validation before it."""
    if begin.step > steps:
        path, there = part.run.file(begin.name), f"epoch {begin.epoch + 1}, which has {count(steps, 'step')}"
        if changed:
            raise _refusal(path, f"is after {count(begin.step, 'step')} of {there} with what was changed")
        raise RunError(f"{path}: damaged: it is after {count(begin.step, 'step')} of {there}. {RESTORE}")


def _require_fitting(
    part: _Part, begin: Checkpoint, changed: Collection[str], reviews: Prepared, device: Device
) -> None:
    """Compare the arrays of a checkpoint with the network that the config would build now, and with its optimizer."""
    if part.config.model.language_model is not None:
        sealed.read(part.run, runs.LANGUAGE_MODEL, records.Before)
    with HeldSignals("stopping as soon as the network is built; once more stops at once"):
        from rnnsent.training.fit import class_weights, optimizer_of
        from rnnsent.training.keras_state import require_same_variables

        training = part.config.training
        class_weights(training, reviews.train.labels, reviews.parts.label_names)
        try:
            # Before memory is taken for what a config only claims.
            require_shapes(weight_shapes(part.config, reviews.rows), begin.under("model"))
            if not all(key.startswith(_OUTSIDE) for key in changed):
                model, optimizer = in_training(part.config, reviews.rows, device), optimizer_of(training, 1)
                optimizer.build(model.trainable_variables)
                require_same_variables(model, optimizer, begin)
        except RunError as error:
            layers = [key for key in changed if "engine" in key or key == "machine.device"]
            order = f" (layers run otherwise than then, and keep weights in another order: {', '.join(layers)})"
            raise _refusal(part.run.file(begin.name), f"{error}{order if layers else ''}") from None


def _refusal(where: object, what: str) -> RunError:
    return RunError(f"{where}: {what}.\n{_ADVICE}")
