"""What `broker.yaml` says under `storage:`. A setting that weakens something is called `insecure_…`."""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

SQLITE = "sqlite"
POSTGRESQL = "postgresql+psycopg"
POSTGRESQL_OPTIONS = frozenset({"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl"})


def on_this_machine(host: str) -> bool:
    """Whether `host` is loopback or the folder of a Unix socket."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class StorageSettings(BaseModel):
    """Where things are kept. Every pool size and time limit of a store stands here."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(
        description="The database: `sqlite:////var/lib/broker/broker.db`, or "
        "`postgresql+psycopg://broker@db.corp.example/broker?sslmode=verify-full&sslrootcert=/etc/broker/db-ca.pem`. "
        "Without a password."
    )
    password: SecretStr = Field(SecretStr(""), description="The database user's password (PostgreSQL).")
    pool_size: int = Field(10, ge=1, le=200, description="Database connections of each process.")
    pool_timeout: float = Field(5.0, gt=0, le=60, description="Seconds to wait for one of them; then 503.")
    connect_timeout: int = Field(3, ge=2, le=60, description="Seconds to wait for a new database connection.")
    lock_timeout: float = Field(5.0, gt=0, le=60, description="Seconds to wait for another writer; then 503.")
    statement_timeout: float = Field(10.0, gt=0, le=600, description="Seconds that a statement may run (PostgreSQL).")
    insecure_plain_postgresql: bool = Field(
        default=False, description="Allow PostgreSQL on another machine without `sslmode=verify-full`."
    )
    short_lived: str = Field(
        "",
        description="Redis for sessions, attempts and one-time things: `rediss://redis.corp.example:6379/0`. Without a "
        "password. Empty: they are kept in the database too.",
    )
    short_lived_password: SecretStr = Field(SecretStr(""), description="The Redis user's password.")
    short_lived_ca_file: Path | None = Field(None, description="CA certificates for Redis; the system's by default.")
    short_lived_prefix: str = Field("broker:", pattern=r"^[a-z0-9:_-]{1,40}$", description="Of every key in Redis.")
    short_lived_pool_size: int = Field(20, ge=1, le=200, description="Redis connections of each process.")
    short_lived_timeout: float = Field(2.0, gt=0, le=30, description="Seconds for each step with Redis; then 503.")
    insecure_plain_redis: bool = Field(default=False, description="Allow Redis on another machine without TLS.")

    @field_validator("url")
    @classmethod
    def _database(cls, url: str) -> str:
        try:
            parsed = make_url(url)
        except ArgumentError:
            message = "is not a database URL such as sqlite:////var/lib/broker/broker.db"
            raise ValueError(message) from None
        if parsed.password is not None:  # check: no-password-in-database-url
            message = "must not hold a password; give it as password_file"
            raise ValueError(message)
        if parsed.drivername == SQLITE:
            if parsed.host or parsed.query or not parsed.database or parsed.database.startswith((":", "file:")):
                message = "must name a file on this machine and nothing else: sqlite:////var/lib/broker/broker.db"
                raise ValueError(message)
        elif parsed.drivername != POSTGRESQL:
            message = "must begin with sqlite:/// or postgresql+psycopg://"
            raise ValueError(message)
        elif not set(parsed.query) <= POSTGRESQL_OPTIONS:  # check: postgresql-url-options
            message = f"may carry only these options: {', '.join(sorted(POSTGRESQL_OPTIONS))}"
            raise ValueError(message)
        elif not parsed.database or not _hosts(parsed):
            message = "must name the host (or ?host=/folder/of/the/socket) and the database"
            raise ValueError(message)
        return url

    @field_validator("short_lived")
    @classmethod
    def _redis(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not parts.path.strip("/").isdecimal():
            message = "must look like rediss://redis.corp.example:6379/0"
            raise ValueError(message)
        if parts.password is not None:  # check: no-password-in-redis-url
            message = "must not hold a password; give it as short_lived_password_file"
            raise ValueError(message)
        if parts.query or parts.fragment:  # check: no-options-in-redis-url
            message = "may carry no options"
            raise ValueError(message)
        return url

    @model_validator(mode="after")
    def _verified_tls(self) -> "StorageSettings":
        parsed = make_url(self.url)
        far = parsed.drivername == POSTGRESQL and not all(map(on_this_machine, _hosts(parsed)))
        if (  # check: verified-tls-to-postgresql
            far and parsed.query.get("sslmode") != "verify-full" and not self.insecure_plain_postgresql
        ):
            message = "url: PostgreSQL on another machine needs ?sslmode=verify-full (and sslrootcert)"
            raise ValueError(message)
        parts = urlsplit(self.short_lived)
        far = parts.scheme == "redis" and not on_this_machine(parts.hostname or "")
        if far and not self.insecure_plain_redis:  # check: verified-tls-to-redis
            message = "short_lived: Redis on another machine needs rediss://"
            raise ValueError(message)
        return self

    def anchored(self, folder: Path) -> "StorageSettings":
        """The same with relative paths, that of an SQLite database included, taken from `folder`."""
        changed: dict[str, object] = {}
        parsed = make_url(self.url)
        if parsed.drivername == SQLITE:
            changed["url"] = f"sqlite:///{folder / (parsed.database or '')}"
        if self.short_lived_ca_file is not None:
            changed["short_lived_ca_file"] = folder / self.short_lived_ca_file
        return self.model_copy(update=changed)


def _hosts(url: URL) -> list[str]:
    """Every host that the URL names, sockets' folders among them."""
    named = url.query.get("host", ())
    listed = [named] if isinstance(named, str) else list(named)
    hosts = [host for entry in (url.host or "", *listed) for host in entry.split(",") if host]
    return [host.partition(":")[0] if host.count(":") == 1 else host for host in hosts]
