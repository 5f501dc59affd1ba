"""What `storage:` accepts: no secret in a URL, and verified TLS to every other machine."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from broker.storage import StorageSettings
from broker.storage.settings import on_this_machine

SQLITE = "sqlite:////var/lib/broker/broker.db"


@pytest.mark.parametrize(
    "url",
    [
        SQLITE,
        "sqlite:///broker.db",
        "postgresql+psycopg://broker@127.0.0.1/broker",
        "postgresql+psycopg://broker@localhost:5433/broker",
        "postgresql+psycopg://broker@[::1]/broker",
        "postgresql+psycopg://broker@/broker?host=/run/postgresql",
        "postgresql+psycopg://broker@db.corp.example/broker?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql+psycopg://broker@/broker?host=a.corp.example:5432&host=b.corp.example:5432&sslmode=verify-full",
    ],
)
def test_these_databases_are_taken(url: str) -> None:
    assert StorageSettings(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:broker.db?mode=memory&uri=true",
        "sqlite://host/broker.db",
        "sqlite+aiosqlite:///broker.db",
        "mysql://broker@127.0.0.1/broker",
        "postgresql://broker@127.0.0.1/broker",
        "postgresql+psycopg2://broker@127.0.0.1/broker",
        "postgresql+psycopg://broker@127.0.0.1",
        "postgresql+psycopg:///broker",
    ],
)
def test_these_databases_are_not(url: str) -> None:
    with pytest.raises(ValidationError):
        StorageSettings(url=url)


@pytest.mark.parametrize(
    "options", ["options=-c%20synchronous_commit%3Doff", "service=other", "passfile=/tmp/x", "target_session_attrs=any"]
)
def test_a_database_url_carries_no_option_that_undoes_ours(options: str) -> None:
    with pytest.raises(ValidationError, match="options"):
        StorageSettings(url=f"postgresql+psycopg://broker@127.0.0.1/broker?{options}")


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    for name, url in (
        ("url", "postgresql+psycopg://broker:sesame@127.0.0.1/broker"),
        ("short_lived", "redis://:sesame@127.0.0.1/0"),
        ("short_lived", "rediss://broker:sesame@redis.corp.example/0"),
    ):
        with pytest.raises(ValidationError, match="password_file") as refused:
            StorageSettings.model_validate({"url": SQLITE, name: url})
        assert "sesame" not in str(refused.value)


def test_passwords_are_in_no_repr() -> None:
    settings = StorageSettings(url=SQLITE, password=SecretStr("sesame"), short_lived_password=SecretStr("sesame"))
    assert "sesame" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize("mode", ["", "?sslmode=prefer", "?sslmode=require", "?sslmode=verify-ca"])
def test_a_database_on_another_machine_needs_verified_tls(mode: str) -> None:
    url = f"postgresql+psycopg://broker@db.corp.example/broker{mode}"
    with pytest.raises(ValidationError, match="verify-full"):
        StorageSettings(url=url)
    assert StorageSettings(url=url, insecure_plain_postgresql=True).url == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://broker@127.0.0.1/broker?host=db.corp.example",
        "postgresql+psycopg://broker@/broker?host=/run/postgresql&host=db.corp.example",
        "postgresql+psycopg://broker@/broker?host=127.0.0.1,db.corp.example",
        "postgresql+psycopg://broker@/broker?host=db.corp.example:5432",
        "postgresql+psycopg://broker@/broker?host=db.corp.example&sslmode=verify-full&sslmode=disable",
    ],
)
def test_every_host_of_a_database_url_counts(url: str) -> None:
    with pytest.raises(ValidationError, match="verify-full"):
        StorageSettings(url=url)


@pytest.mark.parametrize(
    "url", ["", "redis://127.0.0.1/0", "redis://localhost:6380/2", "rediss://redis.corp.example/0"]
)
def test_these_redis_are_taken(url: str) -> None:
    assert StorageSettings(url=SQLITE, short_lived=url).short_lived == url


@pytest.mark.parametrize(
    "url", ["redis", "http://127.0.0.1/0", "redis:///0", "redis://127.0.0.1", "redis://127.0.0.1/x"]
)
def test_these_redis_are_not(url: str) -> None:
    with pytest.raises(ValidationError):
        StorageSettings(url=SQLITE, short_lived=url)


@pytest.mark.parametrize("more", ["?ssl_cert_reqs=none", "?password=x", "#x"])
def test_a_redis_url_carries_no_options(more: str) -> None:
    with pytest.raises(ValidationError, match="no options"):
        StorageSettings(url=SQLITE, short_lived=f"rediss://redis.corp.example/0{more}")


def test_redis_on_another_machine_needs_tls() -> None:
    url = "redis://redis.corp.example:6379/0"
    with pytest.raises(ValidationError, match="rediss"):
        StorageSettings(url=SQLITE, short_lived=url)
    assert StorageSettings(url=SQLITE, short_lived=url, insecure_plain_redis=True).short_lived == url


def test_an_unknown_setting_is_an_error() -> None:
    with pytest.raises(ValidationError):
        StorageSettings.model_validate({"url": SQLITE, "pool": 5})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1", "/run/postgresql"])
def test_this_machine(host: str) -> None:
    assert on_this_machine(host)


@pytest.mark.parametrize("host", ["", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", "::"])  # noqa: S104 (names that are not ours)
def test_not_this_machine(host: str) -> None:
    assert not on_this_machine(host)


def test_relative_paths_are_taken_from_the_folder() -> None:
    settings = StorageSettings(url="sqlite:///broker.db", short_lived_ca_file=Path("ca.pem")).anchored(
        Path("/etc/broker")
    )
    assert settings.url == "sqlite:////etc/broker/broker.db"
    assert settings.short_lived_ca_file == Path("/etc/broker/ca.pem")
    absolute = StorageSettings(url=SQLITE)
    assert absolute.anchored(Path("/etc/broker")) == absolute
