"""Where reviews come from: sources, readers, the flat cache, facts about a data set."""
