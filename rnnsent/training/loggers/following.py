"""All trackers of one training, and the wall between their troubles and it."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from rnnsent.errors import RunError
from rnnsent.runs.directory import TRACKERS, RunDirectory, json_text
from rnnsent.signals import DeferredSignals
from rnnsent.training.loggers.tracker import Beginning, Ending, Network, Status, Tracker, without_passwords
from rnnsent.training.observers import EpochFacts, Observer, StepFacts, StepLoss

if TYPE_CHECKING:
    import keras

    from rnnsent.config import Config
    from rnnsent.data.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

T = TypeVar("T")

ID = re.compile(r"[\w-]{1,64}", re.ASCII)  # W&B makes a part of a path of it

_NODE = re.compile(r"\{\{.*?\}\}")  # where in its graph TensorFlow was when it failed

MOST_LETTERS = 300  # of what a library says when it fails


class Trackers:
    """The trackers that a config asks for. One that fails is left out from there on, and the log says so once.

    Args:
        run: what is followed.
        names: of `training.trackers`.
        tell: told where each of them writes.
    """

    def __init__(self, run: RunDirectory, names: Sequence[str], tell: Callable[[str], None]) -> None:
        self._run, self._names, self._tell = run, names, tell
        self._working: dict[str, Tracker] = {}
        self._facts: dict[str, dict[str, str | None]] = {}
        self._ids: dict[str, str] = {}

    @property
    def facts(self) -> dict[str, dict[str, str | None]]:
        """Where each tracker that was asked for writes, and why it failed; None: it did not."""
        return {name: dict(facts) for name, facts in self._facts.items()}

    def begin(self, config: Config, data: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Import the trackers and let them begin; see `Beginning`."""
        beginning = Beginning(self._run, config, data, environment)
        self._ids = self._kept() if self._names else {}
        for name in self._names:
            self._facts[name] = {"where": None, "failed": None}
            with DeferredSignals(f"stopping as soon as {name} has started; once more stops at once"):
                where = self.asked(name, partial(self._begun, name, replace(beginning, id=self._ids.get(name))))
                self._keep(name)
            if where is not None:
                self._facts[name]["where"] = where
                self._tell(f"{name}: {where}")

    def _begun(self, name: str, beginning: Beginning) -> str:
        tracker: Tracker = import_module(f"rnnsent.training.loggers.{name}").tracker()
        where = tracker.begin(beginning)
        self._working[name] = tracker
        return where

    def _kept(self) -> dict[str, str]:
        """Return which runs the trackers wrote before this training was stopped, {name: id}."""
        if not self._run.file(TRACKERS).is_file():
            return {}
        try:
            ids = self._run.read_json(TRACKERS)
        except RunError as error:
            logger.warning("%s; trackers begin new runs", error)
            return {}
        wrong = [name for name, kept in ids.items() if not (isinstance(kept, str) and ID.fullmatch(kept))]
        if wrong:
            logger.warning("%s: damaged: %r is no id; a new run is begun", self._run.file(TRACKERS), wrong[0])
        return {name: kept for name, kept in ids.items() if name not in wrong}

    def _keep(self, name: str) -> None:
        """Write down which run a tracker writes, before it is told anything: a kill may come at any time."""
        tracker, before = self._working.get(name), self._ids.get(name)
        if tracker is None or tracker.id is None or tracker.id == before:
            return
        if before is not None:
            self._tell(f"{name}: its run {before} is not there any more; a new one is begun")
        self._ids[name] = tracker.id
        self._run.write(TRACKERS, json_text(self._ids))

    def follow(self, run: RunDirectory, plain: keras.Model, vocabulary: Vocabulary) -> list[Observer]:
        """Return what follows the training of one network; its files are in `run`, a folder of the run or the run."""
        place = run.path.relative_to(self._run.path).as_posix()
        network = Network("" if place == "." else place, plain, vocabulary)
        return [_Follower(self, name, network) for name in self._working]

    def end(self, status: Status, metrics: Mapping[str, Any] | None = None) -> None:
        """Let all end; a second call does nothing."""
        with DeferredSignals():
            for name, tracker in list(self._working.items()):
                self.asked(name, partial(tracker.end, Ending(status, metrics)))
            self._working.clear()

    def asked(self, name: str, do: Callable[[], T]) -> T | None:
        """Return what `do` returns; where it fails, warn and leave the tracker out from now on."""
        try:
            # stdout belongs to the results, and what their makers want to tell each other to nobody here.
            with redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return do()
        except Exception as error:  # of whatever kind: it is theirs
            self._working.pop(name, None)
            said = " ".join(_NODE.sub("", str(error)).split()) or type(error).__name__
            said = without_passwords(said)[:MOST_LETTERS]
            self._facts[name]["failed"] = said
            logger.warning("%s failed and is left out from here on; training is not touched: %s", name, said)
            return None

    def tracker(self, name: str) -> Tracker | None:
        """Return a tracker that has not failed."""
        return self._working.get(name)


class _Follower(Observer):
    """Hands on what training tells, for as long as the tracker works."""

    def __init__(self, trackers: Trackers, name: str, network: Network) -> None:
        self._trackers, self._name = trackers, name
        tracker = trackers.tracker(name)
        assert tracker is not None
        self._observer = trackers.asked(name, lambda: tracker.follow(network))

    def on_past(self, history: Sequence[EpochFacts], curve: Sequence[StepLoss]) -> None:
        """Tell of the epochs as if they were trained now: what a tracker has of them already, it knows itself."""
        self._hand_on(lambda observer: observer.on_past(history, curve))
        for facts in history:
            self.on_epoch(facts, False, None)

    def on_step(self, facts: StepFacts) -> None:
        """Hand it on."""
        self._hand_on(lambda observer: observer.on_step(facts))

    def on_epoch(self, facts: EpochFacts, best: bool, model: Any) -> None:
        """Hand it on."""
        self._hand_on(lambda observer: observer.on_epoch(facts, best, model))

    def _hand_on(self, do: Callable[[Observer], None]) -> None:
        observer = self._observer
        if observer is not None and self._trackers.tracker(self._name) is not None:
            self._trackers.asked(self._name, lambda: do(observer))
