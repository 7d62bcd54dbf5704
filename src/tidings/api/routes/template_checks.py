"""What is looked at before a template is stored: whether it compiles, renders, and suits its channels."""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from tidings.api.problems import Code, FieldError, Problem
from tidings.domain.advice import Advice
from tidings.domain.channels import Channel
from tidings.domain.messages import EmailContent
from tidings.domain.templates import Edition
from tidings.providers.mailbox import AddressError, parse_mailbox
from tidings.rendering.checking import Examined, Failure, Given, Shown, advices, constant, examine
from tidings.rendering.compiled import Render, compile_edition
from tidings.rendering.deriving import missing_of_brand
from tidings.rendering.engine import TemplateSourceError

_MOST = 50


class Warned(BaseModel):
    """code: stable. path: the field, as content.email.subject. line and column count from 1, where they are
    known."""

    code: str
    channel: Channel
    locale: str | None
    path: str
    message: str
    line: int | None = None
    column: int | None = None


def compiled(template_id: str, edition: Edition) -> dict[Channel, Render]:
    """Raises TemplateSourceError."""
    return compile_edition(template_id, edition)


def checked(template_id: str, edition: Edition) -> list[Warned]:
    """What is to be known of a version that can be stored. Raises Problem for one that cannot."""
    _check_sample(edition)
    try:
        renders = compiled(template_id, edition)
    except TemplateSourceError as error:
        raise _misspelt(error) from None
    if missing := missing_of_brand(edition):
        paths = ((one, one.path.replace("data", "brand", 1)) for one in missing)
        raise mistaken(*(FieldError(path=path, message=one.message) for one, path in paths))
    found = list(examine(edition, renders))
    errors = [*_failures(found), *_limits(edition, found), *_no_addresses(edition, found)]
    if errors:
        raise mistaken(*errors)
    return warnings_of(found)


def warnings_of(found: Sequence[Examined]) -> list[Warned]:
    """Each once, though it was rendered with several data."""
    warned = [
        _warned(one.channel, one.locale, said)
        for one in found
        if isinstance(one, Shown)
        for said in advices(one)
    ]
    warned += [
        Warned(
            code="may_not_render",
            channel=one.channel,
            locale=one.locale,
            path=one.origin or _path(one.locale, one.path),
            message=f"it did not render {one.given}: {one.message}. That may be for its values",
            line=one.line,
            column=one.column,
        )
        for one in found
        if isinstance(one, Failure) and not one.certain
    ]
    once = {(one.code, one.path): one for one in reversed(warned)}
    return list(reversed(once.values()))[:_MOST]


def mistaken(*errors: FieldError) -> Problem:
    """A template with these mistakes."""
    detail = "; ".join(_said(one) for one in errors[:5])
    return Problem(Code.INVALID_TEMPLATE, detail, errors[:_MOST])


def _said(error: FieldError) -> str:
    if error.line is None:
        return f"{error.path}: {error.message}"
    message = error.message.removeprefix(f"line {error.line}: ")
    return f"{error.path}, line {error.line}, column {error.column}: {message}"


def _misspelt(error: TemplateSourceError) -> Problem:
    return mistaken(
        FieldError(
            path=error.origin or _path(error.locale, error.path),
            message=f"line {error.line}: {error.message}",
            channel=error.path.partition(".")[0],
            locale=error.locale,
            line=error.line,
            column=error.column,
        )
    )


def _check_sample(edition: Edition) -> None:
    if edition.contract is None or edition.sample is None:
        return
    found = edition.contract.mismatches(edition.sample)
    if found:
        raise mistaken(
            *(
                FieldError(path=f"sample{one.path.removeprefix('data')}", message=one.message)
                for one in found
            )
        )


def _failures(found: Iterable[Examined]) -> list[FieldError]:
    """Of what will fail, and not for a value that was made up."""
    errors: dict[tuple[str, int | None, str], FieldError] = {}
    for one in found:
        if isinstance(one, Failure) and one.certain:
            message = f"it cannot be rendered {one.given}: {one.message}"
            error = FieldError(
                path=one.origin or _path(one.locale, one.path),
                message=message if one.line is None else f"line {one.line}: {message}",
                channel=one.channel,
                locale=one.locale,
                line=one.line,
                column=one.column,
            )
            errors.setdefault((error.path, one.line, one.message), error)
    return list(errors.values())


def _limits(edition: Edition, found: Iterable[Examined]) -> list[FieldError]:
    """Of what providers refuse, whatever the data is."""
    errors = {
        _path(one.locale, said.path): FieldError(
            path=_path(one.locale, said.path),
            message=said.message,
            channel=one.channel,
            locale=one.locale,
        )
        for one in found
        if isinstance(one, Shown)
        for said in advices(one)
        if said.refused and (one.given is Given.SAMPLE or constant(edition, one, said.path))
    }
    return list(errors.values())


def _no_addresses(edition: Edition, found: Iterable[Examined]) -> list[FieldError]:
    """Where answers cannot go, so that no provider would take the email."""
    errors = {}
    for one in found:
        if isinstance(one, Shown) and isinstance(one.content, EmailContent):
            given, path = one.content.reply_to, "email.reply_to"
            certain = one.given is Given.SAMPLE or constant(edition, one, path)
            if given and certain and not _is_address(given):
                place = _path(one.locale, path)
                errors[place] = FieldError(
                    path=place,
                    message="it is not an email address, nor `Name <address>`",
                    channel=one.channel,
                    locale=one.locale,
                )
    return list(errors.values())


def _is_address(text: str) -> bool:
    try:
        parse_mailbox(text)
    except AddressError:
        return False
    return True


def _warned(channel: Channel, locale: str | None, said: Advice) -> Warned:
    path = _path(locale, said.path)
    return Warned(code=said.code, channel=channel, locale=locale, path=path, message=said.message)


def _path(locale: str | None, path: str) -> str:
    return f"content.{path}" if locale is None else f"locales.{locale}.{path}"
