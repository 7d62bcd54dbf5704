"""A Celery task that renders with Jinja2, sends, and records the state.

Runs in the rivals' own environment: `celery -A benchmarks.rivals.celery_app worker`. It is kept as quick as
its usual libraries allow: templates compiled once, connections kept by each process, one commit a status.
"""

import json
import os
import smtplib
from email.message import EmailMessage
from typing import Any

import psycopg  # type: ignore[import-not-found]  # only in the rivals' environment
import requests
from celery import Celery

from benchmarks.rivals.rendering import RECORD_PSYCOPG, Data, Templates, webhook_id

app = Celery("rival", broker=os.environ["RIVAL_REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=4,
    broker_pool_limit=64,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)

_TEMPORARY = (requests.RequestException, smtplib.SMTPException, OSError, psycopg.OperationalError)


class Connections:
    """What one worker process keeps open; opened at first use, so after the fork."""

    def __init__(self) -> None:
        self._http: requests.Session | None = None
        self._smtp: smtplib.SMTP | None = None
        self._database: psycopg.Connection[Any] | None = None

    @property
    def http(self) -> requests.Session:
        if self._http is None:
            self._http = requests.Session()
            # Otherwise every request reads the environment for proxies again.
            self._http.trust_env = False
            self._http.headers["Content-Type"] = "application/json"
        return self._http

    @property
    def database(self) -> "psycopg.Connection[Any]":
        if self._database is None or self._database.closed:
            self._database = psycopg.connect(os.environ["RIVAL_DATABASE_URL"], autocommit=True)
        return self._database

    def mail(self, message: EmailMessage) -> None:
        if self._smtp is None:
            self._smtp = self._connect_smtp()
        try:
            self._smtp.send_message(message)
        except smtplib.SMTPServerDisconnected:
            self._smtp = self._connect_smtp()
            self._smtp.send_message(message)

    @staticmethod
    def _connect_smtp() -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", int(os.environ["RIVAL_SMTP_PORT"]), timeout=10)


templates = Templates()
connections = Connections()


@app.task(autoretry_for=_TEMPORARY, retry_backoff=True, max_retries=5)
def send(channel: str, address: str, data: Data) -> None:
    """Deliver one notification, then record that it was sent."""
    deliver = _post if channel == "webhook" else _mail
    connections.database.execute(RECORD_PSYCOPG, (data["id"], deliver(address, data)))


def _post(url: str, data: Data) -> str:
    identity = webhook_id(data)
    body = json.dumps(templates.event(data))
    answer = connections.http.post(url, data=body, headers={"webhook-id": identity}, timeout=10)
    answer.raise_for_status()
    return identity


def _mail(address: str, data: Data) -> str:
    message = templates.mail(address, data)
    connections.mail(message)
    return str(message["Message-ID"])
