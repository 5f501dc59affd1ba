"""A challenge room to test in: real stores on a fresh SQLite file, and people with factors enrolled."""

import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import NoReturn, TypeVar

import pyotp
from builders import NOW, a_proof, an_identity

from broker.authenticate.identity import Group, PersonId
from broker.challenge.clock_check import ClockCheck
from broker.challenge.enrol import Enrolment
from broker.challenge.proof import Proof
from broker.challenge.settings import EnrolmentPolicy, MfaSettings
from broker.challenge.tools import FactorTools
from broker.errors import Unavailable
from broker.keys import Keyring
from broker.storage import StorageSettings, open_storage

T = TypeVar("T")

ADA, BOB = PersonId("p-ada"), PersonId("p-bob")
STEP = timedelta(seconds=30)


@contextmanager
def some_tools(folder: Path) -> Iterator[FactorTools]:
    """Everything that a factor needs, by default settings."""
    storage = open_storage(StorageSettings(url=f"sqlite:///{folder}/broker.db"))
    storage.upgrade()
    try:
        yield FactorTools(
            factors=storage.factors,
            enrolment_codes=storage.enrolment,
            attempts=storage.attempts,
            keyring=Keyring.generate(now=NOW),
            clock_check=ClockCheck({}, monotonic=lambda: 0.0),
            settings=MfaSettings(),
        )
    finally:
        storage.close()


def with_settings(tools: FactorTools, **settings: object) -> FactorTools:
    """The same stores and keys under other settings."""
    return replace(tools, settings=MfaSettings.model_validate(settings))


def after_password(
    person: PersonId = ADA, *, at: datetime = NOW, groups: tuple[Group, ...] = (), provider: str = "corp-ad"
) -> Proof:
    """Somebody who typed a password at `at`, and showed nothing else."""
    identity = an_identity(person.removeprefix("p-"), at=at, groups=groups, provider=provider)
    return replace(a_proof(identity=identity, person=person), shown=())


def seed_on_page(text_key: str) -> bytes:
    """What an authenticator app keeps after the text key was typed into it."""
    return base64.b32decode(text_key.replace(" ", ""))


def code_at(seed: bytes, at: datetime) -> str:
    """What the app shows at that instant."""
    return pyotp.TOTP(base64.b32encode(seed).decode()).at(int(at.timestamp()))


def wrong_code(seed: bytes, at: datetime) -> str:
    """Six digits that are right at no instant near `at`."""
    near = {code_at(seed, at + steps * STEP) for steps in range(-5, 6)}
    return next(code for code in map("{:06d}".format, range(100)) if code not in near)


def enrol(
    tools: FactorTools, person: PersonId = ADA, *, at: datetime = NOW - timedelta(hours=1)
) -> tuple[Proof, bytes]:
    """Enrol an authenticator app as a person would (policy `self`); the proof then shown, and the seed in the app."""
    room = Enrolment(with_settings(tools, enrolment=EnrolmentPolicy.SELF))
    proof = after_password(person, at=at)
    pending = room.begin(proof, at)
    seed = seed_on_page(pending.text_key)
    enrolled = room.complete(proof, pending.sealed, code_at(seed, at), at)
    return proof.with_shown(enrolled.shown), seed


class Away:
    """A store that nobody can reach."""

    def __getattr__(self, name: str) -> object:
        def away(*_args: object, **_kwargs: object) -> NoReturn:
            raise Unavailable(name)

        return away


def in_parallel(work: Callable[[], T], times: int = 50) -> list[T | BaseException]:
    """What came of doing `work` so many times at once: a result or an exception each."""
    together = Barrier(times)

    def one(_: int) -> T:
        together.wait()
        return work()

    with ThreadPoolExecutor(times) as pool:
        futures = [pool.submit(one, number) for number in range(times)]
    return [future.exception() or future.result() for future in futures]
