"""One run, or several side by side, as one HTML page: what is on it (content), what it looks like (page, charts)."""
