"""The config: its sections, how they are read from YAML, the rules they obey, suggestions for typing errors."""
