"""Reports of runs: run page, comparison page, model card and trace views, rendered from what is on disk."""
