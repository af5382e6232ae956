"""Damaged and forged files for the readers that are ours: each is read, or refused with a message for people."""
