"""Pages for people, which links in their messages lead to."""
