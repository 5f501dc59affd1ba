from collections.abc import Iterator
from pathlib import Path

import pytest
from builders_factors import some_tools

from broker.challenge.tools import FactorTools


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[FactorTools]:
    with some_tools(tmp_path) as made:
        yield made
