"""Temperature, threshold, abstaining: against SciPy, and through the commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

from rnnsent.inference.calibration import NONE, Calibration, fit_calibration
from rnnsent.models.linear import log_loss
from rnnsent.runs.directory import Run
from tests.conftest import rnnsent


def too_sure(n: int, seed: int, factor: float = 2.0, shift: float = 0.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return labels, expit(factor * (rng.normal(1.5 * (2 * labels - 1), 1.5) + shift)).astype(np.float32)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_is_the_one_that_scipy_finds(factor: float) -> None:
    labels, probabilities = too_sure(2000, 0, factor)
    found = fit_calibration(labels, probabilities)
    z = logit(np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7))

    def cost(t: float) -> float:
        return float(-np.log(np.where(labels == 1, expit(z / t), expit(-z / t))).mean() + np.log(t) ** 2 / 4000)

    expected = minimize_scalar(cost, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-6}).x
    assert found.temperature == pytest.approx(expected, rel=1e-3)
    assert (found.threshold, found.texts) == (0.5, 2000)
    np.testing.assert_allclose(found(probabilities), expit(z / expected), atol=1e-3)


def test_several_labels_as_scipy_has_it() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 1500)
    z = rng.normal(size=(1500, 4)) + 1.5 * np.eye(4)[labels]
    probabilities = softmax(3 * z, axis=1)
    found = fit_calibration(labels, probabilities)

    def cost(t: float) -> float:
        rows = log_softmax(np.log(np.clip(probabilities, 1e-7, 1 - 1e-7)) / t, axis=1)
        return float(-rows[np.arange(1500), labels].mean() + np.log(t) ** 2 / 3000)

    expected = minimize_scalar(cost, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-6}).x
    assert found.temperature == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(found(probabilities).sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(found(probabilities).argmax(axis=1), probabilities.argmax(axis=1))


def test_what_is_hardly_known_of_a_temperature_is_said() -> None:
    assert str(Calibration(1.5, texts=100)) == "temperature 1.500, fitted on 100 validation texts"
    assert str(Calibration(0.05, texts=16)) == (
        "temperature 0.050 (the limit of the search), fitted on 16 validation texts (unreliable with fewer than 100)"
    )
    assert str(Calibration(20.0, 0.3, 500)) == (
        "temperature 20.000 (the limit of the search), threshold 0.300, fitted on 500 validation texts"
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=1, max_size=40),
    temperature=st.floats(0.05, 20),
)
def test_temperature_changes_no_label_and_fitting_never_harms(
    rows: list[tuple[bool, float]], temperature: float
) -> None:
    labels = np.array([label for label, _ in rows], np.int64)
    probabilities = np.array([p for _, p in rows], np.float32)
    changed = Calibration(temperature)(probabilities)
    away = np.abs(probabilities - 0.5) > 1e-5  # nearer, a float32 may be one half itself afterwards
    np.testing.assert_array_equal((changed > 0.5)[away], (probabilities > 0.5)[away])
    found = fit_calibration(labels, probabilities)
    assert log_loss(labels, found(probabilities)) <= log_loss(labels, probabilities) + 1e-6 or found.threshold != 0.5
    assert 0.05 <= found.temperature <= 20
    np.testing.assert_array_equal(NONE(probabilities), probabilities)


def test_a_line_is_moved_only_where_it_surely_helps() -> None:
    labels, probabilities = too_sure(3000, 2, shift=1.2)
    found = fit_calibration(labels, probabilities)
    assert found.threshold > 0.6
    calibrated = found(probabilities)
    np.testing.assert_array_equal(calibrated > 0.5, probabilities > found.threshold)
    best = max(((probabilities > line) == labels).mean() for line in np.linspace(0.01, 0.99, 99))
    assert ((calibrated > 0.5) == labels).mean() >= best
    for seed in range(20):
        assert fit_calibration(*too_sure(300, seed)).threshold == 0.5


def test_what_tells_nothing_changes_nothing_much() -> None:
    assert fit_calibration(np.empty(0, np.int64), np.empty(0, np.float32)) == NONE
    sure = fit_calibration(np.array([0, 1, 1]), np.array([0.0, 1.0, 1.0], np.float32))
    assert np.isfinite(sure(np.array([0.0, 0.5, 1.0], np.float32))).all()
    wrong = fit_calibration(np.ones(5, np.int64), np.zeros(5, np.float32))
    assert wrong.temperature > 15


@pytest.fixture
def run(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    return Path("run")


def without_calibration(run: Path) -> Path:
    """The same run as an older rnnsent would have left it."""
    shutil.copytree(run, "older")
    Path("older/calibration.json").unlink()
    Run(Path("older")).finish()
    return Path("older")


def answers(*arguments: str) -> list[dict[str, Any]]:
    found = rnnsent("predict", *arguments, "--json")
    assert found.exit_code == 0, found.stderr
    return [json.loads(line) for line in found.stdout.splitlines()]


TEXTS = ("word5 word6 word7 word8", "word15 word16 word30", "word30")


def test_all_commands_use_it(run: Path) -> None:
    kept = json.loads((run / "calibration.json").read_text())
    assert kept["texts"] == 24 and kept["temperature"] != 1
    assert kept["log_loss_after"] <= kept["log_loss_before"]
    recorded = json.loads((run / "metrics.json").read_text())
    assert recorded["validation"]["log_loss"]["value"] == pytest.approx(kept["log_loss_before"], abs=1e-6)
    judged = json.loads(rnnsent("eval", str(run), "--split", "validation", "--json").stdout)
    assert judged["metrics"]["log_loss"]["value"] == pytest.approx(kept["log_loss_before"], abs=1e-6)
    plain = [row["probabilities"]["positive"] for row in answers(str(without_calibration(run)), *TEXTS)]
    now = [row["probabilities"]["positive"] for row in answers(str(run), *TEXTS)]
    np.testing.assert_allclose(now, expit(logit(plain) / kept["temperature"]), atol=1e-6)
    for method in ("occlusion", "integrated-gradients"):
        found = rnnsent("trace", str(run), TEXTS[0], "--method", method, "--json")
        assert found.exit_code == 0, found.stderr
        traced = json.loads(found.stdout)
        assert traced["probabilities"]["positive"] == pytest.approx(now[0], abs=1e-6)
    facts = traced["integrated_gradients"]
    of_label = max(now[0], 1 - now[0])
    assert facts["logit"] == pytest.approx(float(logit(of_label)), abs=1e-3)
    assert rnnsent("verify", str(run)).exit_code == 0


def test_abstaining(run: Path) -> None:
    plain = answers(str(run), *TEXTS)
    assert all("abstained" not in row for row in plain)
    least = sorted(row["probability"] for row in plain)[1]
    found = answers(str(run), *TEXTS, "--abstain-below", repr(least))
    assert [row["abstained"] for row in found] == [row["probability"] < least for row in plain]
    assert sum(row["abstained"] for row in found) == 1
    for row, other in zip(found, plain, strict=True):
        assert row["label"] == (None if row["abstained"] else other["label"])
        assert row["probabilities"] == other["probabilities"]
    Path("t.txt").write_text("\n".join(TEXTS) + "\n")
    for name, place in (("a.csv", 1), ("b.tsv", 1)):  # the first column of a table is the number of the row
        written = rnnsent("predict", str(run), "--input", "t.txt", "--output", name, "--abstain-below", repr(least))
        assert written.exit_code == 0, written.stderr
        labels = [line.replace("\t", ",").split(",")[place] for line in Path(name).read_text().splitlines()]
        assert labels[-3:] == ["abstain" if row["abstained"] else row["label"] for row in found]
    useless = rnnsent("predict", str(run), "word5", "--abstain-below", "0.4")
    assert useless.exit_code == 2 and "is never below 0.5" in useless.stderr
    assert rnnsent("predict", str(run), "word5", "--abstain-below", "1.5").exit_code == 2


def test_a_changed_file_is_noticed(run: Path) -> None:
    (run / "calibration.json").write_text('{"temperature": 2.0, "threshold": 0.5, "texts": 24}')
    found = rnnsent("predict", str(run), "word5")
    assert found.exit_code == 1 and "calibration.json was changed after training" in found.stderr
