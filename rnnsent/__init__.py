"""Train, judge and ship recurrent sentiment classifiers from one YAML file."""

__version__ = "0.1.0"
