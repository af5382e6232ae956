"""Metrics, intervals, comparisons and baselines."""
