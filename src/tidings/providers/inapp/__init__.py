"""Entries in the recipient's own feed, kept by Tidings."""
