"""The in-app feed, live: who may watch it, what happens to it, and telling all who watch."""
