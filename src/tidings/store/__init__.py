"""PostgreSQL: migrations, one module per aggregate, the embedded server."""
