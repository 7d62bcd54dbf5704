"""Push messages to browsers, through whichever service a browser's maker runs."""
