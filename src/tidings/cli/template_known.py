"""That a template is there, said by its name where it is not."""

import contextlib
from collections.abc import Iterator

from tidings.cli.client import ProblemError
from tidings.cli.errors import CommandError


@contextlib.contextmanager
def known(template_id: str, version: int | None = None) -> Iterator[None]:
    """Around calls about this template: the API says only that something is not there. Raises CommandError."""
    try:
        yield
    except ProblemError as problem:
        if problem.status != 404:
            raise
        if version is None:
            raise CommandError(
                f"There is no template {template_id!r}.",
                "`tidings template list` shows those that are there.",
            ) from None
        raise CommandError(
            f"There is no version {version} of a template {template_id!r}.",
            f"`tidings template versions {template_id}` lists those that are there.",
        ) from None
