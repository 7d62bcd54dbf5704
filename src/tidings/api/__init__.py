"""HTTP: the app, authentication, problems, and one file per resource."""
