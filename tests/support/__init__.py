"""What the tests share: a database, a whole system in one process, and the other sides."""
