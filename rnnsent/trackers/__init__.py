"""Trackers: observers that pass on to TensorBoard, MLflow or Weights & Biases how training goes.

`following` asks them and keeps their troubles from training; each of the others knows one library, and is imported only
where `training.trackers` names it.
"""
