from collections.abc import Iterator

import pytest
from builders import HOUR
from contracts.console import ConsoleContract, Stage
from issue.consoles import stage_of
from issue.stages import sandbox

from broker.clock import utc_now
from broker.sandbox.signin import SandboxSignIn


@pytest.fixture(scope="module")
def before_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with sandbox(max_session=4 * HOUR) as sts, SandboxSignIn(sts, clock=utc_now) as sign_in:
        yield stage_of(sts, sign_in, tmp_path_factory.mktemp("keys"))


class TestSandbox(ConsoleContract):
    @pytest.fixture
    def stage(self, before_sandbox: Stage) -> Stage:
        return before_sandbox
