"""An in-app feed with a bell: a page, and the backend that gives it its token."""
