"""The vendors: paths, credentials, documented answers and callbacks of each."""
