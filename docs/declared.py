"""Reference tables of what the code declares: settings, codes, metrics, providers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any

from markdown import Row, prose, table
from prometheus_client import CollectorRegistry

from tidings.api.problems import Code
from tidings.bootstrap.exposition import _DeadLetterCollector, _QueueCollector
from tidings.domain.deliveries import DeliveryStatus
from tidings.domain.outcomes import OUTCOME_WORDS, Permanent
from tidings.domain.provider import Field, Manifest
from tidings.domain.reasons import Reason
from tidings.domain.receipts import ReceiptType
from tidings.metrics import Metrics
from tidings.providers.apns import verdicts as apns
from tidings.providers.apprise import verdicts as apprise
from tidings.providers.catalogue import MANIFESTS
from tidings.providers.discord import verdicts as discord
from tidings.providers.fcm import verdicts as fcm
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
from tidings.providers.sns import verdicts as sns
from tidings.providers.teams import verdicts as teams
from tidings.providers.telegram import verdicts as telegram
from tidings.providers.twilio import callbacks as twilio_calls
from tidings.providers.twilio import verdicts as twilio
from tidings.providers.vonage import callbacks as vonage_calls
from tidings.providers.vonage import verdicts as vonage
from tidings.providers.webpush import verdicts as webpush
from tidings.settings import Settings


def settings() -> str:
    """Every setting but the accounts, whose fields are their providers'."""
    schema = Settings.model_json_schema()
    parts = []
    for section, entries in groupby(
        _entries(schema), key=lambda entry: entry[0].rpartition(".")[0]
    ):
        parts.append(f"### {f'`[{section}]`' if section else 'At the top of the file'}\n")
        columns = ("setting", "environment variable", "default", "allowed", "what it is")
        parts.append(table(columns, (_setting(*entry) for entry in entries)) + "\n")
    return "\n".join(parts)


def _entries(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Dotted names with their schemas: those at the top first, then section by section."""
    sections = []
    for name, found in schema["properties"].items():
        if "$ref" in found:
            sections.append((name, schema["$defs"][found["$ref"].rpartition("/")[2]]))
        elif name == "limits":
            sections.append(("limits.NAME", _resolved(schema["$defs"]["LimitSettings"], schema)))
        elif name != "accounts":
            yield name, found
    for section, inner in sections:
        for name, found in inner["properties"].items():
            yield f"{section}.{name}", found


def _resolved(part: Any, schema: Mapping[str, Any]) -> Any:
    """With the words of enumerations in the place of references to them."""
    if isinstance(part, list):
        return [_resolved(one, schema) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return {**schema["$defs"][part["$ref"].rpartition("/")[2]], **part}
    return {key: _resolved(one, schema) for key, one in part.items()}


def _setting(name: str, schema: Mapping[str, Any]) -> Row:
    variable = f"TIDINGS_{name.replace('.', '__').upper()}"
    key = name.rpartition(".")[2]
    return (
        f"`{key}`",
        f"`{variable}`",
        _default(name, schema),
        _allowed(schema),
        schema.get("description", ""),
    )


def _default(name: str, schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    if name == "data_dir":
        return "`tidings` in the user's data directory"
    if value is None or value == {}:
        return ""
    if isinstance(value, dict):
        return "`" + ", ".join(f"{key} = {_brief(one)}" for key, one in value.items()) + "`"
    return (
        f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != [] else "none"
    )


def _brief(value: object) -> str:
    """A value of a table, as in TOML."""
    if not isinstance(value, dict):
        return f"{value:g}" if isinstance(value, int | float) else str(value)
    given = (f"{key} = {one:g}" for key, one in value.items() if one is not None)
    return "{ " + ", ".join(given) + " }"


def _allowed(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_allowed(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    words = {
        "integer": "whole number",
        "number": "number",
        "array": "list of texts",
        "string": "text",
        "object": "table",
        "boolean": "`true` or `false`",
    }
    word = {"path": "path", "password": "text, kept secret"}.get(schema.get("format", ""))
    word = word or words[schema["type"]]
    if low is not None and high is not None:
        return f"{word}, {low:g} to {high:,}".replace(",", " ", 0)
    if "exclusiveMinimum" in schema:
        return f"{word} over {schema['exclusiveMinimum']:g}, up to {high:,}"
    return word


def problems() -> str:
    return table(("code", "status", "title"), ((f"`{c.code}`", c.status, c.title) for c in Code))


def reasons() -> str:
    return table(("code", "what it means"), ((f"`{reason}`", reason.text) for reason in Reason))


def statuses() -> str:
    return ", ".join(f"`{status}`" for status in DeliveryStatus) + "."


def metrics() -> str:
    made = Metrics(CollectorRegistry())
    rows = []
    for collector in vars(made).values():
        # The names of a metric's labels are public only through samples, of which there are none yet.
        labels = ", ".join(f"`{name}`" for name in collector._labelnames)
        suffix = "_total" if collector._type == "counter" else ""
        name = f"`{collector._name}{suffix}`"
        rows.append((name, collector._type, labels, collector._documentation))
    for family in chain(_QueueCollector([]).collect(), _DeadLetterCollector({}).collect()):
        labels = ", ".join(f"`{name}`" for name in family.samples[0].labels)
        rows.append((f"`{family.name}`", family.type, labels, family.documentation))
    return table(("metric", "type", "labels", "what it counts"), rows)


def providers() -> str:
    each = "\n".join(map(_provider, MANIFESTS.values()))
    return f"{each}\n## Errors of vendors that are not in their tables\n\n{_rules(GENERAL)}\n"


def _provider(manifest: Manifest) -> str:
    facts = [
        ("channels", ", ".join(f"`{channel}`" for channel in manifest.channels)),
        ("messages in one call, at the most", manifest.batch_size),
        ("a repeated call has no second effect", _yes(manifest.idempotent)),
        ("accepted means delivered, by default", _yes(manifest.confirms_delivery)),
    ]
    if manifest.address_field:
        facts.append(("address when the recipient gives none", f"`{manifest.address_field}`"))
    if manifest.features:
        facts.append(("sends beside the bare message", ", ".join(manifest.features)))
    if manifest.name in _TOLD:
        told = ", ".join(f"`{one}`" for one in ReceiptType if one in _told(manifest.name))
        facts.append(("calls back with", f"{told}; anything else as `{ReceiptType.OTHER}`"))
        facts.append(("proves its callbacks by", _PROOFS[manifest.name]))
    if manifest.docs_url:
        facts.append(("documentation", f"<{manifest.docs_url}>"))
    parts = [f"## `{manifest.name}`: {manifest.title}\n", table(("", ""), facts), ""]
    if manifest.fields:
        columns = ("field", "default", "allowed", "what it is")
        parts += [table(columns, map(_field, manifest.fields)), ""]
    if manifest.name in _REFUSALS:
        parts += [_refusals(_REFUSALS[manifest.name]), ""]
    return "\n".join(parts)


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
    "mailgun": "HMAC-SHA256 of a moment and a token, not of what it says; up to 9 hours old",
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


def _refusals(refusals: Table) -> str:
    return f"Its errors (<{refusals.docs_url}>):\n\n{_rules(refusals.rules)}"


def _rules(rules: Sequence[Rule]) -> str:
    """What errors become; the first row that fits decides."""
    rows = []
    for one in rules:
        known_by = [f"`{code}`" for code in sorted(one.codes)]
        known_by += [f"HTTP {_ranges(sorted(one.statuses))}"] if one.statuses else []
        known_by += ["its text"] if one.text else []
        word = OUTCOME_WORDS[type(one.outcome)]
        if isinstance(one.outcome, Permanent) and one.outcome.suppress:
            word += ", address suppressed"
        answer = ", ".join(known_by) or "anything else"
        rows.append((prose(one.meaning), answer, word, f"`{one.outcome.reason}`"))
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
