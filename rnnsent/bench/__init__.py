"""Measurements beside other libraries, for `rnnsent bench`; nothing else imports this package."""
