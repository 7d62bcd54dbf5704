"""Chat messages to over a hundred more services, through the library Apprise."""
