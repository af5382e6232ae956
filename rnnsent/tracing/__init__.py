"""How the answer to one text comes about, word by word, and how that is shown."""
