"""Delivers nothing outside: keeps each rendered message to look at."""
