"""What the Python rivals share: templates compiled once, the message of each channel, the state's statement."""

import time
from email.message import EmailMessage
from typing import Any

import jinja2

from benchmarks import job

_RECORD = """
    INSERT INTO notifications (id, status, provider_message_id, updated_at)
    VALUES ({}, 'sent', {}, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET status = excluded.status,
      provider_message_id = excluded.provider_message_id, updated_at = excluded.updated_at"""
RECORD_PSYCOPG = _RECORD.format("%s", "%s")
RECORD_ASYNCPG = _RECORD.format("$1", "$2")

Data = dict[str, Any]


class Templates:
    """Compiled once, when the process starts."""

    def __init__(self) -> None:
        plain, html = jinja2.Environment(), jinja2.Environment(autoescape=True)
        self.subject, self.text = plain.from_string(job.SUBJECT), plain.from_string(job.TEXT)
        self.html = html.from_string(job.HTML)

    def event(self, data: Data) -> Data:
        """What goes to the webhook."""
        payload = {
            "subject": self.subject.render(data),
            "text": self.text.render(data),
            "html": self.html.render(data),
            "ref": data["id"],
            "t": str(data["t"]),
        }
        return {"type": job.EVENT, "timestamp": int(time.time()), "data": payload}

    def mail(self, address: str, data: Data) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = job.SENDER, address
        message["Subject"] = self.subject.render(data)
        message["Message-ID"] = f"<{data['id']}@shop.example.com>"
        message.set_content(self.text.render(data))
        message.add_alternative(self.html.render(data), subtype="html")
        return message


def webhook_id(data: Data) -> str:
    return f"msg_{data['id']}"
