"""Second factors, recovery codes and enrolment codes, in SQL (`challenge.factor.FactorStore`, `EnrolmentStore`).

Whatever works once is used up by one conditional statement, so that of parallel callers exactly one succeeds; what
needs more than one statement first locks the person's row in `factor_holders`.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, case, delete, func, insert, select, update

from broker.authenticate.identity import PersonId
from broker.challenge.factor import EnrolmentCode, FactorRecord, FirstFactor
from broker.challenge.proof import Method
from broker.storage.database import Conflict, Database
from broker.storage.tables import enrolment_codes, enrolment_redemptions, factor_holders, factors, recovery_codes

FACTORS = "the store of factors"
ENROLMENT = "the store of enrolment codes"


class SqlFactors:
    """`FactorStore` in SQL."""

    def __init__(self, database: Database) -> None:
        """Builds its statements; asks nothing yet."""
        self._database = database
        self._redeem = database.insert(enrolment_redemptions).on_conflict_do_nothing()
        holder = database.insert(factor_holders)
        lock = {"person": holder.excluded.person}
        key = [factor_holders.c.person]
        self._hold = holder.on_conflict_do_update(index_elements=key, set_=lock).returning(factor_holders.c.reset_at)
        before, now = factor_holders.c.reset_at, holder.excluded.reset_at
        latest = {"reset_at": case((before > now, before), else_=now)}  # another instance's clock may be ahead
        self._reset = holder.on_conflict_do_update(index_elements=key, set_=latest)

    def factors(self, person: PersonId) -> Sequence[FactorRecord]:
        """See the protocol."""
        theirs = select(factors).where(factors.c.person == person).order_by(factors.c.enrolled_at, factors.c.id)
        with self._database.read(FACTORS) as connection:
            rows = connection.execute(theirs).all()
        return [
            FactorRecord(
                id=row.id,
                person=PersonId(row.person),
                method=Method(row.method),
                label=row.label,
                secret=row.secret,
                last_step=row.last_step,
                enrolled_at=row.enrolled_at,
                last_used_at=row.last_used_at,
            )
            for row in rows
        ]

    def add_first_factor(self, record: FactorRecord, *, code: bytes | None) -> FirstFactor:
        """See the protocol."""
        theirs = select(func.count()).select_from(factors).where(factors.c.person == record.person)
        with self._database.write(FACTORS) as connection:
            reset_at = self._locked(connection, record.person)
            if connection.execute(theirs).scalar_one():  # check: first-factor-only
                return FirstFactor.ALREADY_ENROLLED
            if code is None and reset_at is not None:  # check: code-after-reset
                return FirstFactor.CODE_NEEDED
            if code is not None and not self._redeemed(
                connection, code, record, reset_at
            ):  # check: enrolment-code-valid
                return FirstFactor.CODE_NOT_VALID
            connection.execute(insert(factors), _row(record))
        return FirstFactor.ADDED

    def add_factor(self, record: FactorRecord) -> bool:
        """See the protocol."""
        try:
            with self._database.write(FACTORS) as connection:
                self._locked(connection, record.person)
                connection.execute(insert(factors), _row(record))
        except Conflict:
            return False
        return True

    def burn_step(self, factor: str, step: int, now: datetime) -> bool:
        """See the protocol."""
        burn = (
            update(factors)
            .where(factors.c.id == factor, factors.c.last_step < step)
            .values(last_step=step, last_used_at=now)
        )
        with self._database.write(FACTORS) as connection:
            return connection.execute(burn).rowcount == 1

    def remove_factors(self, person: PersonId, now: datetime) -> int:
        """See the protocol."""
        with self._database.write(FACTORS) as connection:
            connection.execute(self._reset, {"person": person, "reset_at": now})
            connection.execute(delete(recovery_codes).where(recovery_codes.c.person == person))
            return connection.execute(delete(factors).where(factors.c.person == person)).rowcount

    def was_reset(self, person: PersonId) -> bool:
        """See the protocol."""
        with self._database.read(FACTORS) as connection:
            told = connection.execute(select(factor_holders.c.reset_at).where(factor_holders.c.person == person))
            return told.scalar() is not None

    def replace_recovery_codes(self, person: PersonId, hashes: Sequence[bytes], now: datetime) -> None:
        """See the protocol."""
        rows = [{"person": person, "hashed": hashed, "made_at": now} for hashed in hashes]
        with self._database.write(FACTORS) as connection:
            self._locked(connection, person)
            connection.execute(delete(recovery_codes).where(recovery_codes.c.person == person))
            if rows:
                connection.execute(insert(recovery_codes), rows)

    def burn_recovery_code(self, person: PersonId, hashed: bytes, now: datetime) -> bool:
        """See the protocol."""
        unused = (
            recovery_codes.c.person == person,
            recovery_codes.c.hashed == hashed,
            recovery_codes.c.used_at.is_(None),
        )
        with self._database.write(FACTORS) as connection:
            return connection.execute(update(recovery_codes).where(*unused).values(used_at=now)).rowcount == 1

    def recovery_codes_left(self, person: PersonId) -> int:
        """See the protocol."""
        unused = (recovery_codes.c.person == person, recovery_codes.c.used_at.is_(None))
        with self._database.read(FACTORS) as connection:
            return connection.execute(select(func.count()).select_from(recovery_codes).where(*unused)).scalar_one()

    def _locked(self, connection: Connection, person: PersonId) -> datetime | None:
        """Hold the person's row until the end of the transaction; when they were last reset."""
        reset_at: datetime | None = connection.execute(self._hold, {"person": person, "reset_at": None}).scalar_one()
        return reset_at

    def _redeemed(self, connection: Connection, hashed: bytes, record: FactorRecord, reset_at: datetime | None) -> bool:
        codes = enrolment_codes.c
        valid = select(codes.id, codes.group, codes.made_at).where(
            codes.hashed == hashed, codes.expires_at > record.enrolled_at
        )
        code = connection.execute(valid).one_or_none()
        if code is None:  # check: enrolment-code-known
            return False
        if reset_at is not None and code.made_at <= reset_at:  # check: enrolment-code-since-reset
            return False
        slot = record.person if code.group else ""
        row = {"code": code.id, "slot": slot, "person": record.person, "at": record.enrolled_at}
        return connection.execute(self._redeem, row).rowcount == 1


def _row(record: FactorRecord) -> dict[str, object]:
    return {column.name: getattr(record, column.name) for column in factors.c}


class SqlEnrolment:
    """`EnrolmentStore` in SQL."""

    def __init__(self, database: Database) -> None:
        """Asks nothing yet."""
        self._database = database

    def add_code(self, code: EnrolmentCode) -> None:
        """See the protocol."""
        row = {column.name: getattr(code, column.name) for column in enrolment_codes.c}
        with self._database.write(ENROLMENT) as connection:
            connection.execute(insert(enrolment_codes), row)

    def find_code(self, code: str) -> EnrolmentCode | None:
        """See the protocol."""
        with self._database.read(ENROLMENT) as connection:
            found = connection.execute(select(enrolment_codes).where(enrolment_codes.c.id == code))
            row = found.mappings().one_or_none()
        return None if row is None else EnrolmentCode(**row)
