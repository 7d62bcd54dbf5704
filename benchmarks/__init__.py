"""The benchmark: Tidings' whole path, and beside it in the same run what people use today."""
