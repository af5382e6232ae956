"""Experiment trackers: TensorBoard, MLflow and W&B."""
