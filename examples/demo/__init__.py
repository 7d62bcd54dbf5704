"""The demo: a whole Tidings, the other sides of it, and notifications that travel between them."""
