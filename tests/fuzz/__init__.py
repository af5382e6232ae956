"""Damaged and forged files for every reader: each has to be read, or refused with a message for people."""
