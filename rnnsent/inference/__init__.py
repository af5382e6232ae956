"""From a finished run and texts to predictions, traces and attributions."""
