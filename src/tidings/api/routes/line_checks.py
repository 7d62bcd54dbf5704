"""Lines of a stream, checked: what each asks for, or what is wrong with it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from tidings.api.bodies import parse
from tidings.api.problems import Code, FieldError, Problem, of_validation
from tidings.api.routes.lines import Line
from tidings.api.routes.sending import submission_of
from tidings.api.sizes import check_size, largest_notification
from tidings.intake.drafting import Submission
from tidings.settings import ApiSettings
from tidings.store.api_keys import ApiKey

_CHECKED_AT_ONCE = 50  # lines between two turns of the event loop
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MERGED = ("data", "metadata")


@dataclass(slots=True)
class CheckedLines:
    """valid: what can be asked for, by line number; problems: what is wrong with others."""

    last: int
    valid: dict[int, Submission] = field(default_factory=dict)
    problems: dict[int, Problem] = field(default_factory=dict)


class LineChecker:
    """first: number of the first line, which may hold defaults for all. done: number of the last line that is not to be
    looked at, for it was before."""

    def __init__(
        self, key: ApiKey, batch_id: UUID | None, settings: ApiSettings, *, first: int, done: int
    ) -> None:
        self._key = key
        self._batch_id = batch_id
        self._first = first
        self._done = done
        self._settings = settings
        self._defaults: dict[str, Any] = {}

    async def check(self, lines: Sequence[Line]) -> CheckedLines:
        """Raises Problem where the defaults spoil it all."""
        checked = CheckedLines(lines[-1].number)
        for line in lines:
            if self._takes_defaults(line) or line.number <= self._done:
                continue
            try:
                if (submission := self._submission(line)) is not None:
                    checked.valid[line.number] = submission
            except Problem as problem:
                checked.problems[line.number] = problem
            if line.number % _CHECKED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return checked

    def _takes_defaults(self, line: Line) -> bool:
        """The first line may say what is the same for all."""
        if line.number != self._first or line.text is None or b'"defaults"' not in line.text:
            return False
        try:
            document = parse(line.text.removeprefix(_BYTE_ORDER_MARK))
        except ValueError:
            return False
        if not isinstance(document, dict) or document.keys() != {"defaults"}:
            return False
        if not isinstance(document["defaults"], dict):
            message = "must be an object"
            where = [FieldError(path="defaults", message=message)]
            raise Problem(Code.INVALID_REQUEST, f"defaults: {message}", where)
        email = document["defaults"].get("email")
        if isinstance(email, dict) and "attachments" in email:
            message = "files go with the lines that they are for"
            where = [FieldError(path="defaults.email.attachments", message=message)]
            raise Problem(Code.INVALID_REQUEST, f"defaults.email.attachments: {message}", where)
        self._defaults = document["defaults"]
        return True

    def _submission(self, line: Line) -> Submission | None:
        """None for an empty line. Raises Problem."""
        if line.text is None:
            most = largest_notification(self._settings)
            raise Problem(Code.BODY_TOO_LARGE, f"A line may have at most {most} bytes.")
        text = line.text.removeprefix(_BYTE_ORDER_MARK) if line.number == 1 else line.text
        if not text or text.isspace():
            return None
        try:
            submission = submission_of(self._key, self._merged(parse(text)), self._batch_id)
        except ValidationError as error:
            raise of_validation(error) from None
        except ValueError as error:
            raise Problem(Code.MALFORMED_JSON, f"The line is not valid JSON: {error}.") from None
        if len(text) > self._settings.max_body or submission.request.email is not None:
            check_size(submission.request.email, len(text), self._settings, "A line")
        return submission

    def _merged(self, document: Any) -> Any:
        if not self._defaults or not isinstance(document, dict):
            return document
        merged = {**self._defaults, **document}
        for name in _MERGED:
            common, own = self._defaults.get(name), document.get(name)
            if isinstance(common, dict) and isinstance(own, dict):
                merged[name] = {**common, **own}
        return merged
