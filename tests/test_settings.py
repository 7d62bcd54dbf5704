"""Settings: one file, the environment over it, and clear words about what is wrong."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidings.settings import Settings, SettingsError, load

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("TIDINGS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TIDINGS_CONFIG", os.devnull)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "tidings.toml"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("TIDINGS_CONFIG", str(path))
        return path

    return write


def wrong() -> str:
    with pytest.raises(SettingsError) as caught:
        load()
    return str(caught.value)


def test_everything_has_a_default() -> None:
    settings = load()
    assert settings.development
    assert settings.database_url is None
    assert settings.api.port == 8000
    assert settings.worker.lease > 3 * settings.worker.heartbeat - 1
    assert settings.accounts == {}


def test_the_environment_goes_over_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write('environment = "production"\n[api]\nport = 9000\nhost = "::1"\n[retry]\nattempts = 3\n')
    monkeypatch.setenv("TIDINGS_API__PORT", "9100")
    settings = load()
    assert (settings.api.port, settings.api.host, settings.retry.attempts) == (9100, "::1", 3)
    assert not settings.development


def test_the_file_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDINGS_CONFIG")
    monkeypatch.chdir(tmp_path)
    assert load().api.port == 8000
    (tmp_path / "tidings.toml").write_text("[api]\nport = 9200\n")
    assert load().api.port == 9200


def test_a_directory_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_DATA_DIR", "~/tidings")
    monkeypatch.setenv("TIDINGS_KEYRING_FILE", "~/ring.json")
    settings = load()
    assert settings.data_dir == Path.home() / "tidings"
    assert settings.keyring_file == Path.home() / "ring.json"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TIDINGS_API__PORT", "abc", ["api.port", "TIDINGS_API__PORT", "'abc'", "integer"]),
        ("TIDINGS_API__PORT", "70000", ["api.port", "'70000'", "65535"]),
        ("TIDINGS_API__PORT", "-1", ["api.port", "'-1'", "greater than or equal to 0"]),
        ("TIDINGS_API__PORT", "", ["api.port", "''"]),
        ("TIDINGS_ENVIRONMENT", "prod", ["environment", "'prod'", "'development' or 'production'"]),
        ("TIDINGS_LOG__LEVEL", "loud", ["log.level", "'loud'", "'debug'"]),
        ("TIDINGS_WORKER__LEASE", "1", ["worker.lease", "'1'", "2"]),
        ("TIDINGS_WORKER__LEASE", "nan", ["worker.lease", "'nan'"]),
        ("TIDINGS_RETRY__TOTAL", "0", ["retry.total", "'0'", "greater than 0"]),
        ("TIDINGS_WORKER__HEARTBEAT", "19", ["worker", "heartbeat must be at most a third"]),
        ("TIDINGS_DATABASE_POOL", "1", ["database_pool", "'1'", "2"]),
        ("TIDINGS_OUTBOUND__ALLOW", "[1]", ["outbound.allow", "1"]),
        ("TIDINGS_OUTBOUND__ALLOW", "[", ["outbound.allow", "["]),
        ("TIDINGS_API", "x", ["api"]),
        ("TIDINGS_API__PROT", "1", ["api.prot", "is not a setting"]),
        ("TIDINGS_PORT", "1", ["TIDINGS_PORT", "is not a setting", "TIDINGS_API"]),
        ("TIDINGS_", "1", ["TIDINGS_", "is not a setting"]),
    ],
)
def test_a_wrong_variable_is_named_with_what_was_seen_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(variable, value)
    message = wrong()
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[api]\nport = true\n", ["api.port", "True"]),
        ("[api]\nport = 80.5\n", ["api.port", "80.5"]),
        ("api = 1\n", ["api", "1"]),
        ("[api]\nprot = 1\n", ["api.prot", "is not a setting"]),
        ("[apis]\nport = 1\n", ["apis", "is not a setting"]),
        ("[worker]\nlease = 10\nheartbeat = 5\n", ["heartbeat must be at most a third of lease"]),
        ("port = [\n", ["not valid TOML"]),
        ("[api]\n[api]\n", ["not valid TOML"]),
        ("[accounts.mail]\nhost = 'x'\n", ["accounts.mail.provider", "required"]),
        (
            "[accounts.mail]\nprovider = 'smtp'\ntimeout = 20\n",
            ["accounts.mail.timeout", "worker.lease"],
        ),
        ("[accounts]\nmail = 1\n", ["accounts.mail"]),
    ],
)
def test_a_wrong_file(write: Write, text: str, words: list[str]) -> None:
    path = write(text)
    message = wrong()
    for word in words:
        assert word in message, message
    if "TOML" in words[0]:
        assert str(path) in message


def test_all_that_is_wrong_is_said_at_once(write: Write) -> None:
    write("[api]\nport = -1\nprocesses = 0\n[retry]\nattempts = 0\n")
    assert len(wrong().splitlines()) == 3


def test_a_file_that_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tidings.toml"
    path.write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("TIDINGS_CONFIG", str(path))
    assert str(path) in wrong()
    monkeypatch.setenv("TIDINGS_CONFIG", str(tmp_path))
    assert str(tmp_path) in wrong()


def test_a_file_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_CONFIG", "/nowhere/tidings.toml")
    assert "/nowhere/tidings.toml" in wrong()


SECRET = "Very-Secret-4711"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIDINGS_DATABASE_URL", f"mysql://user:{SECRET}@host/db"),
        ("TIDINGS_DATABASE_URL", f"postgresql://user:{SECRET}@host:port/db"),
        ("TIDINGS_ACCOUNTS__MAIL__PASSWORD", SECRET),
        ("TIDINGS_ACCOUNTS__MAIL__PROVIDER__X", SECRET),
        ("TIDINGS_ACCOUNTS__MAIL__TIMEOUT", SECRET),
        ("TIDINGS_ACCOUNTS", SECRET),
        ("TIDINGS_ACCOUNTS__MAIL", SECRET),
        ("TIDINGS_KEYRING__X", SECRET),
    ],
)
def test_a_wrong_secret_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert SECRET not in wrong()


def test_secrets_are_not_in_what_is_printed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(f'[accounts.mail]\nprovider = "smtp"\npassword = "{SECRET}"\n')
    monkeypatch.setenv("TIDINGS_API_KEY", SECRET)
    monkeypatch.setenv("TIDINGS_KEYRING", SECRET)
    monkeypatch.setenv("TIDINGS_DATABASE_URL", f"postgresql://user:{SECRET}@host/db")
    settings = load()
    for shown in (repr(settings), str(settings), repr(settings.accounts)):
        assert SECRET not in shown
    assert settings.accounts["mail"].values == {"password": SECRET}


@pytest.mark.parametrize(
    "value", ["10.0.0.0/8, hooks.example.com", '["10.0.0.0/8", "hooks.example.com"]']
)
def test_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TIDINGS_OUTBOUND__ALLOW", value)
    assert load().outbound.allow == ("10.0.0.0/8", "hooks.example.com")
    monkeypatch.setenv("TIDINGS_OUTBOUND__ALLOW", "")
    assert load().outbound.allow == ()


@pytest.mark.parametrize("text", ["123", "1e5", "true", "null", "[1]", '{"a": 1}', '"x"', "a,b"])
def test_an_accounts_fields_stay_text(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A password may look like anything."""
    monkeypatch.setenv("TIDINGS_ACCOUNTS__MAIL__PROVIDER", "smtp")
    monkeypatch.setenv("TIDINGS_ACCOUNTS__MAIL__PASSWORD", text)
    monkeypatch.setenv("TIDINGS_ACCOUNTS__MAIL__TIMEOUT", "7.5")
    monkeypatch.setenv("TIDINGS_ACCOUNTS__MAIL__CHANNELS", "email, sms")
    account = load().accounts["mail"]
    assert account.values == {"password": text}
    assert (account.timeout, account.channels) == (7.5, ("email", "sms"))


def test_sections_and_accounts_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_API", '{"port": 9300}')
    monkeypatch.setenv("TIDINGS_ACCOUNTS", '{"mail": {"provider": "smtp", "port": 25}}')
    settings = load()
    assert settings.api.port == 9300
    assert settings.accounts["mail"].values == {"port": 25}


def test_references(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("MAIL_PASSWORD", "from the environment")
    write(
        f"""[accounts.mail]
        provider = "smtp"
        host = "mail.example.com"
        password = {{ env = "MAIL_PASSWORD" }}
        other = {{ file = "{tmp_path / "secret"}" }}
        port = 25
        """
    )
    monkeypatch.setenv("TIDINGS_ACCOUNTS__MAIL__PORT", "587")
    assert load().accounts["mail"].values == {
        "host": "mail.example.com",
        "password": "from the environment",
        "other": "from a file",
        "port": "587",
    }


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ('{ env = "NO_SUCH_VARIABLE" }', ["accounts.mail.password", "NO_SUCH_VARIABLE", "not set"]),
        ('{ file = "/no/such/file" }', ["accounts.mail.password", "/no/such/file", "No such file"]),
        ('{ file = "/" }', ["accounts.mail.password", "directory"]),
        ('{ file = "/bin/sh" }', ["accounts.mail.password", "/bin/sh"]),
        ('{ vault = "x" }', ["accounts.mail.password", "a reference is"]),
        ('{ env = "PATH", file = "/x" }', ["accounts.mail.password", "a reference is"]),
        ("{ env = 1 }", ["accounts.mail.password", "a reference is"]),
        ("{}", ["accounts.mail.password", "a reference is"]),
    ],
)
def test_a_wrong_reference(write: Write, reference: str, words: list[str]) -> None:
    write(f'[accounts.mail]\nprovider = "smtp"\npassword = {reference}\n')
    message = wrong()
    for word in words:
        assert word in message, message


def _fields(model: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, field in model.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        found += (
            _fields(field.annotation, f"{prefix}{name}.") if inner else [(prefix + name, field)]
        )
    return found


@pytest.mark.parametrize(("name", "field"), _fields(Settings), ids=lambda value: str(value)[:30])
def test_every_setting_has_a_default_and_a_line_of_documentation(name: str, field: Any) -> None:
    assert not field.is_required(), name
    assert field.description, name
    assert field.description.rstrip().endswith("."), name


def test_rate_limits_are_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        '[limits.gentle]\nrate = "3/h"\nscope = "recipient"\ncategory = "social"\nover = "skip"\n'
        '[accounts.main]\nprovider = "webhook"\nrate = "0.5/s"\n'
    )
    monkeypatch.setenv("TIDINGS_LIMITS__GENTLE__RATE", "4/h")
    gentle, main = load().rate_limits
    assert (gentle.name, str(gentle.rate), gentle.scope, gentle.category, gentle.over) == (
        *("gentle", "4/h", "recipient", "social"),
        "skip",
    )
    assert (main.name, str(main.rate), main.scope, main.account, main.over) == (
        *("accounts.main", "1 per 2 s", "account", "main"),
        "wait",
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[limits.a]\nrate = "3/x"\n', ["limits.a.rate", "'3/x'", '"3/h"']),
        ("[limits.a]\nrate = 3\n", ["limits.a.rate", "got 3", '"3/h"']),
        ('[limits.a]\nscope = "user"\n', ["limits.a.rate", "required"]),
        ('[limits.a]\nrate = "3/h"\nscope = "all"\n', ["limits.a.scope", "'all'", "'recipient'"]),
        ('[limits.a]\nrate = "3/h"\nover = "drop"\n', ["limits.a.over", "'drop'", "'skip'"]),
        ('[limits.a]\nrate = "3/h"\nper = "user"\n', ["limits.a.per is not a setting"]),
        (
            '[limits.a]\nrate = "3/h"\naccount = "b"\n',
            ["limits.a.account", "'b'", "there are none"],
        ),
        ('[limits."a:b"]\nrate = "3/h"\n', ["limits", "'a:b'", "allowed in a name"]),
        ('[accounts.a]\nprovider = "webhook"\nrate = "fast"\n', ["accounts.a.rate", '"100/s"']),
    ],
)
def test_a_wrong_limit_is_named_with_what_is_allowed(
    write: Write, text: str, parts: list[str]
) -> None:
    write(text)
    said = wrong()
    for part in parts:
        assert part in said


def test_tracking_needs_a_public_url() -> None:
    with pytest.raises(ValueError, match=r"web\.public_url"):
        Settings(tracking={"clicks": True})
    settings = Settings(tracking={"clicks": True}, web={"public_url": "https://t.example.com"})
    assert settings.tracking.clicks
