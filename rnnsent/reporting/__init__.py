"""Pages, cards, plots and views of runs and traces."""
