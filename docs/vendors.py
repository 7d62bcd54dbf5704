"""The reference of providers: a page for each, made from its manifest and its tables, and one that compares them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any, get_args

from markdown import Row, prose, table

from tidings.domain.outcomes import OUTCOME_WORDS, Accepted, Outcome, Permanent
from tidings.domain.provider import Feature, Field, Manifest
from tidings.domain.receipts import ReceiptType
from tidings.providers.apns import verdicts as apns
from tidings.providers.apprise import verdicts as apprise
from tidings.providers.catalogue import MANIFESTS
from tidings.providers.discord import verdicts as discord
from tidings.providers.fcm import verdicts as fcm
from tidings.providers.http import Answer
from tidings.providers.mailgun import callbacks as mailgun_calls
from tidings.providers.mailgun import verdicts as mailgun
from tidings.providers.postmark import callbacks as postmark_calls
from tidings.providers.postmark import verdicts as postmark
from tidings.providers.refusals import GENERAL, Rule, Table
from tidings.providers.resend import callbacks as resend_calls
from tidings.providers.resend import verdicts as resend
from tidings.providers.sendgrid import callbacks as sendgrid_calls
from tidings.providers.sendgrid import verdicts as sendgrid
from tidings.providers.ses import callbacks as ses_calls
from tidings.providers.ses import verdicts as ses
from tidings.providers.slack import verdicts as slack
from tidings.providers.smtp import verdicts as smtp
from tidings.providers.sns import verdicts as sns
from tidings.providers.teams import verdicts as teams
from tidings.providers.telegram import verdicts as telegram
from tidings.providers.twilio import callbacks as twilio_calls
from tidings.providers.twilio import verdicts as twilio
from tidings.providers.vonage import callbacks as vonage_calls
from tidings.providers.vonage import verdicts as vonage
from tidings.providers.webhook.send import outcome_of
from tidings.providers.webpush import verdicts as webpush

PAGES = Path(__file__).parent / "reference" / "providers"

_BUILT_IN = {"inapp", "outbox"}
"""They are there without being declared."""


def compared() -> str:
    """Facts of all of them, a row each."""
    columns = (
        "provider",
        "channels",
        "in one call",
        "repeats do no harm",
        "calls back",
        *_FEATURES,
    )
    rows = [
        (
            f"[`{one.name}`]({one.name}.md)",
            ", ".join(f"`{channel}`" for channel in one.channels),
            one.batch_size,
            _tick(one.idempotent),
            _tick(one.name in _TOLD),
            *(_tick(feature in one.features) for feature in _FEATURES),
        )
        for one in sorted(MANIFESTS.values(), key=lambda one: (one.channels, one.name))
    ]
    return table(columns, rows)


def general() -> str:
    return _rules(GENERAL)


_FEATURES: tuple[str, ...] = get_args(Feature)


def _tick(value: bool) -> str:
    return "✓" if value else ""


def page(manifest: Manifest) -> str:
    parts = [
        f"# {manifest.title}",
        _MADE,
        table(("", ""), _facts(manifest)),
        *_declaring(manifest),
        *_errors(manifest.name),
    ]
    return "\n\n".join(parts) + "\n"


_MADE = "<!-- made by docs/generate.py from the provider's manifest and its tables -->"


def _facts(manifest: Manifest) -> list[Row]:
    facts: list[Row] = [
        ("provider", f"`{manifest.name}`"),
        ("channels", ", ".join(f"`{channel}`" for channel in manifest.channels)),
        ("messages in one call, at the most", manifest.batch_size),
        ("a repeated call has no second effect", _yes(manifest.idempotent)),
        ("accepted means delivered, by default", _yes(manifest.confirms_delivery)),
    ]
    if manifest.address_field:
        facts.append(("address when the recipient gives none", f"`{manifest.address_field}`"))
    if manifest.features:
        facts.append(("sends beside the bare message", ", ".join(manifest.features)))
    if manifest.services:
        services = ", ".join(f"`{one}`" for one in manifest.services)
        facts.append(("takes only addresses of", services))
    if manifest.name in _TOLD:
        told = ", ".join(f"`{one}`" for one in ReceiptType if one in _told(manifest.name))
        facts.append(("calls back with", f"{told}; anything else as `{ReceiptType.OTHER}`"))
        proof = f"{_PROOFS[manifest.name]}; [how](../../how-to/connect-callbacks.md)"
        facts.append(("proves its callbacks by", proof))
    if manifest.docs_url:
        facts.append(("documentation", f"<{manifest.docs_url}>"))
    return facts


def _declaring(manifest: Manifest) -> list[str]:
    if manifest.name in _BUILT_IN and not manifest.fields:
        return []
    columns = ("field", "default", "allowed", "what it is")
    return [
        "## Account",
        f"```toml\n{_example(manifest)}```",
        table(columns, map(_field, manifest.fields)),
        "[Every account](../settings.md#accountsname) has further fields, as its order, weight and time-out.",
    ]


def _example(manifest: Manifest) -> str:
    """The fields that it cannot do without."""
    lines = [f"[accounts.my-{manifest.name}]", f'provider = "{manifest.name}"']
    lines += [f"{one.name} = {_value(manifest, one)}" for one in manifest.fields if one.required]
    return "\n".join(lines) + "\n"


def _value(manifest: Manifest, one: Field) -> str:
    if one.secret:
        name = f"{manifest.name}_{one.name}".removeprefix("webhook_").upper()
        name = f"WEBHOOK_{name}" if name == "SECRET" else name
        return f'{{ env = "{name}" }}'
    return f'"{_EXAMPLES.get(one.name, "…")}"'


_EXAMPLES = {
    "from": "Shop <news@shop.example>",
    "domain": "mg.shop.example",
    "account_sid": "AC…",
    "host": "smtp.example.com",
    "topic": "com.example.shop",
    "region": "eu-central-1",
    "subject": "mailto:ops@shop.example",
}


def _errors(name: str) -> list[str]:
    if name in _REFUSALS:
        one = _REFUSALS[name]
        source = f"The first row that fits decides. Source: <{one.docs_url}>."
        rest = "What is in none of the rows is read [by its status](README.md#other-errors)."
        return ["## Errors", source, _rules(one.rules, one.code_url), rest]
    made = {"smtp": _smtp, "webhook": _webhook}.get(name)
    return ["## Errors", *made()] if made else []


def _smtp() -> list[str]:
    columns = ("at", "reply", "and its text has", "outcome", "reason")
    rules: list[smtp.Rule[Any]] = [*smtp.SETUP_RULES[:-1], *smtp.RULES]
    rows = [
        (
            ", ".join(f"`{stage}`" for stage in smtp.Stage if stage in one.stages) or "any",
            f"`{one.codes.pattern}`",
            f"`{one.text.pattern}`" if one.text else "",
            _word(one.outcome),
            f"`{one.outcome.reason}`",
        )
        for one in rules
    ]
    source = (
        "A reply's code and enhanced code (RFC 5321, 4.2; RFC 3463), as a regular expression that fits all of them, by "
        "how far the message had come; the first row that fits decides. Where no reply comes before the content was "
        "sent, the outcome is transient, and afterwards it is unknown."
    )
    return [source, table(columns, rows)]


def _webhook() -> list[str]:
    rows = [
        (_ranges([status for status, _ in group]), *verdict)
        for verdict, group in _grouped(lambda status: outcome_of(Answer(status, {}, b""), 0.0))
    ]
    source = "By the status of the answer; `Retry-After` is heeded."
    return [source, table(("HTTP", "outcome", "reason"), rows)]


def _grouped(
    outcome: Callable[[int], Outcome],
) -> Iterable[tuple[tuple[str, str], list[tuple[int, Outcome]]]]:
    found = [(status, outcome(status)) for status in range(200, 600)]
    return [
        (verdict, list(group))
        for verdict, group in groupby(found, key=lambda one: _verdict(one[1]))
    ]


def _verdict(outcome: Outcome) -> tuple[str, str]:
    return _word(outcome), "" if isinstance(outcome, Accepted) else f"`{outcome.reason}`"


def _word(outcome: Outcome) -> str:
    word = OUTCOME_WORDS[type(outcome)]
    return f"{word}, address suppressed" if _suppresses(outcome) else word


def _suppresses(outcome: Outcome) -> bool:
    return isinstance(outcome, Permanent) and outcome.suppress


_TOLD: Mapping[str, Sequence[Iterable[Any]]] = {
    "mailgun": (
        mailgun_calls.EVENTS.values(),
        mailgun_calls.FAILURES.values(),
        (ReceiptType.INBOUND, ReceiptType.DEFERRED),
    ),
    "postmark": (
        postmark_calls.RECORDS.values(),
        postmark_calls.BOUNCES.values(),
        postmark_calls.SUBSCRIPTIONS.values(),
        (ReceiptType.INBOUND,),
    ),
    "resend": (resend_calls.EVENTS.values(),),
    "sendgrid": (sendgrid_calls.EVENTS.values(), (ReceiptType.INBOUND,)),
    "ses": (ses_calls.EVENTS.values(), (ReceiptType.DROPPED,)),
    "twilio": (twilio_calls.STATUSES.values(), twilio_calls.ERRORS.values()),
    "vonage": (
        vonage_calls.STATUSES.values(),
        vonage_calls.ERRORS.values(),
        (ReceiptType.INBOUND,),
    ),
}
"""What the tables of a provider's callbacks lead to, and what its code adds."""

_PROOFS: Mapping[str, str] = {
    "mailgun": "HMAC-SHA256 of a moment and a token, not of what it says; for one callback, up to 9 hours old",
    "postmark": "a password or a header, for it signs nothing",
    "resend": "HMAC-SHA256 as Svix makes it; up to 5 minutes old",
    "sendgrid": "ECDSA over P-256; up to 25 hours old",
    "ses": "the signature of Amazon SNS, for configured topics; up to 25 hours old",
    "twilio": "HMAC-SHA1 of the URL and the fields, or of the URL with the hash of the body; of any age",
    "vonage": "a JWT with the hash of the body, or the parameter `sig`; up to 25 hours old",
}


def _told(name: str) -> set[Any]:
    found = chain.from_iterable(_TOLD[name])
    return {one[0] if isinstance(one, tuple) else one for one in found} - {ReceiptType.OTHER}


_REFUSALS: Mapping[str, Table] = {
    "apns": apns.TABLE,
    "apprise": apprise.TABLE,
    "discord": discord.TABLE,
    "fcm": fcm.TABLE,
    "mailgun": mailgun.TABLE,
    "postmark": postmark.TABLE,
    "resend": resend.TABLE,
    "sendgrid": sendgrid.TABLE,
    "ses": ses.TABLE,
    "slack": slack.TABLE,
    "sns": sns.TABLE,
    "teams": teams.TABLE,
    "telegram": telegram.TABLE,
    "twilio": twilio.TABLE,
    "vonage": vonage.TABLE,
    "webpush": webpush.TABLE,
}


def _rules(rules: Sequence[Rule], code_url: str = "") -> str:
    """What errors become; the first row that fits decides. code_url: of a code's own page, with {code}."""
    shown = f"[`{{code}}`]({code_url})" if code_url else "`{code}`"
    rows = []
    for one in rules:
        known_by = [shown.format(code=code) for code in sorted(one.codes)]
        known_by += [f"HTTP {_ranges(sorted(one.statuses))}"] if one.statuses else []
        known_by += ["its text"] if one.text else []
        answer = ", ".join(known_by) or "anything else"
        rows.append((prose(one.meaning), answer, _word(one.outcome), f"`{one.outcome.reason}`"))
    return table(("what the vendor says", "known by", "outcome", "reason"), rows)


def _ranges(statuses: list[int]) -> str:
    """Neighbours as one range: 300-405."""
    groups: list[list[int]] = []
    for status in statuses:
        if groups and status == groups[-1][-1] + 1:
            groups[-1].append(status)
        else:
            groups.append([status])
    return ", ".join(f"{g[0]}-{g[-1]}" if len(g) > 1 else str(g[0]) for g in groups)


def _field(field: Field) -> Row:
    allowed = {"whole_number": "whole number", "yes_no": "true or false"}.get(
        field.kind, field.kind
    )
    if field.choices:
        allowed = ", ".join(f"`{choice}`" for choice in field.choices)
    if field.minimum is not None and field.maximum is not None:
        allowed += f", {field.minimum:.10g} to {field.maximum:.10g}"
    allowed += f", {field.unit}" if field.unit else ""
    allowed += ", kept secret" if field.secret else ""
    default = "**required**" if field.required else ""
    default = f"`{field.default}`" if field.default is not None else default
    return f"`{field.name}`", default, allowed, prose(field.doc)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
