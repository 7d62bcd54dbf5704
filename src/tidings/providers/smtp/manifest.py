"""What an SMTP account is made of."""

from tidings.domain.channels import Channel
from tidings.domain.provider import Field, Manifest

MANIFEST = Manifest(
    name="smtp",
    title="SMTP",
    channels=(Channel.EMAIL,),
    docs_url="https://www.rfc-editor.org/rfc/rfc6409",
    # Few, so that a slow server gets through with all of them within the account's time-out.
    batch_size=4,
    concurrency_field="connections",
    features=("attachments", "inline files", "cc and bcc", "headers"),
    fields=(
        Field("host", "Name or address of the mail server.", required=True),
        Field(
            "port",
            "TCP port: 587 for submission with STARTTLS, 465 for TLS from the start, 25 for relay.",
            kind="whole_number",
            default=587,
            minimum=1,
            maximum=65_535,
        ),
        Field(
            "security",
            "starttls: ask for TLS after connecting, and send nothing to a server that does not offer "
            "it; tls: TLS from the start; none: no encryption, for a server on the same machine or a "
            "network you trust. Certificates are always verified.",
            kind="choice",
            default="starttls",
            choices=("starttls", "tls", "none"),
        ),
        Field("username", "Name to sign in with; without it, nobody signs in."),
        Field("password", "Password to sign in with.", secret=True),
        Field(
            "from",
            "Sender of every message, e.g. Shop <shop@example.com>; its address takes the bounces.",
            required=True,
        ),
        Field(
            "hello",
            "Host name said in EHLO; by default this machine's full name, or its address.",
        ),
        Field(
            "ca_file",
            "PEM file of the certificate authorities to trust, instead of the system's.",
        ),
        Field(
            "connections",
            "Connections open at the same time, in one worker process, at the most.",
            kind="whole_number",
            default=16,
            minimum=1,
            maximum=1000,
        ),
        Field(
            "idle",
            "Time after which an unused connection is closed.",
            kind="number",
            default=30,
            minimum=0,
            maximum=3600,
            unit="seconds",
        ),
    ),
)
