"""The step of adversarial training on JAX: both losses as one function of the weights, which Keras differentiates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import keras
from keras import ops

from rnnsent.engine.adversarial import PerturbedModel


class Descent(PerturbedModel):
    """A `PerturbedModel` whose training step is Keras' own for JAX, with the moved reviews in its loss."""

    def compute_loss_and_updates(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any],
        x: Any,
        y: Any,
        sample_weight: Any,
        training: bool = False,
        optimizer_variables: Sequence[Any] | None = None,
    ) -> Any:
        """Return the loss that is differentiated, and what Keras keeps of the step."""
        if not training:
            return super().compute_loss_and_updates(
                trainable_variables, non_trainable_variables, metrics_variables, x, y, sample_weight, training
            )
        kept = [*self.non_trainable_variables, *self.metrics_variables]
        state = [
            *zip(self.trainable_variables, trainable_variables, strict=True),
            *zip(kept, [*non_trainable_variables, *metrics_variables], strict=True),
            *zip(self.optimizer.variables, optimizer_variables or (), strict=True),
        ]
        with keras.StatelessScope(state_mapping=state) as scope:
            predicted = self(x, training=True)
            loss = self.loss_of_labels(x, y, predicted, sample_weight)
            vectors = ops.stop_gradient(self._perturbation.vectors) * self._perturbation.words
            begin = self.start(vectors) if self._adversarial.kind == "virtual" else ops.zeros_like(vectors)
            ascent = self._slope(scope, x, y, ops.stop_gradient(predicted), sample_weight, begin)
            moved = self.loss_of_moved(x, y, predicted, self.offset(ascent, vectors), sample_weight)
            scaled = self.optimizer.scale_loss(loss + self._adversarial.weight * moved)
        self._perturbation.vectors, self._perturbation.words = None, 1.0  # of this trace alone
        values = [_value(scope, variable) for variable in kept]
        number = len(self.non_trainable_variables)
        return scaled, (loss, predicted, values[:number], values[number:])

    def _update_metrics_variables(
        self, metrics_variables: Sequence[Any], unscaled_loss: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any
    ) -> Any:
        """Return what the metrics say, and their variables, after a batch; Keras would count all its reviews."""
        variables = self.metrics_variables
        with keras.StatelessScope(state_mapping=list(zip(variables, metrics_variables, strict=True))) as scope:
            self._loss_tracker.update_state(unscaled_loss, sample_weight=self.counted(y, y_pred))
            logs = self.compute_metrics(x, y, y_pred, sample_weight)
        return logs, [_value(scope, variable) for variable in variables]

    def _slope(self, scope: Any, inputs: Any, targets: Any, clean: Any, sample_weight: Any, begin: Any) -> Any:
        """Return the gradient of the loss of moved reviews by the move, at `begin`."""
        variables = [*self.trainable_variables, *self.non_trainable_variables]
        # What the pass draws is forgotten: its values must not leave the function that is differentiated.
        now = [(variable, jax.lax.stop_gradient(_value(scope, variable))) for variable in variables]

        def loss(offset: Any) -> Any:
            with keras.StatelessScope(state_mapping=now):
                return self.loss_of_moved(inputs, targets, clean, offset, sample_weight)

        return jax.grad(loss)(begin)


def _value(scope: Any, variable: Any) -> Any:
    """Return what a variable is now, in a scope; one that has not changed has no value of its own there."""
    found = scope.get_current_value(variable)
    return variable.value if found is None else found
