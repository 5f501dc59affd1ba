"""A broker and a desk for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from workstation.desk import Desk
from workstation.fake_broker import FakeBroker, serving


@pytest.fixture
def fake() -> Iterator[FakeBroker]:
    with serving() as found:
        yield found


@pytest.fixture
def desk(fake: FakeBroker, tmp_path: Path) -> Desk:
    """Nobody is signed in yet."""
    return Desk(home=tmp_path, broker=fake)


@pytest.fixture
def signed_in(desk: Desk) -> Desk:
    desk.login()
    return desk
