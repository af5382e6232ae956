"""Hyperparameter search by Optuna: search space, study, trials, the selection among the best."""
