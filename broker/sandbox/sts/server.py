"""`SandboxSts`: the strict STS, started and stopped, with its call log and its fault switches."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Self

from broker.clock import Clock
from broker.sandbox.sts.calls import Call
from broker.sandbox.sts.faults import Fault, Throttle
from broker.sandbox.sts.listener import Listener, is_loopback
from broker.sandbox.sts.service import Service
from broker.sandbox.sts.sessions import Credentials, Directory, Session, role_caller
from broker.sandbox.sts.wire import model
from broker.sandbox.sts.world import Random, World


class SandboxSts:
    """A strict STS on a loopback socket: `with SandboxSts(world, clock=clock) as sts: ... sts.url`.

    `port=0` takes a free one, which stays the same through `down` and `up`. `enabled_regions=None` enables every
    region of the caller's partition. The throttle is AWS's default quota unless another one is given.
    """

    def __init__(
        self,
        world: World,
        *,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        throttle: Throttle | None = None,
        enabled_regions: frozenset[str] | None = None,
        random: Random = secrets.token_bytes,
    ) -> None:
        """Prepare; nothing listens before `start`. Raises `ValueError` for a host that is not a loopback address."""
        if not is_loopback(host):  # check: sts-loopback-only
            message = f"the sandbox listens on loopback addresses only, not on {host}"
            raise ValueError(message)
        self._host, self._port, self._clock = host, port, clock
        self._service = Service(Directory(world), clock=clock, random=random, throttle=throttle or Throttle())
        self._service.enabled_regions = enabled_regions
        self._listener: Listener | None = None

    def start(self) -> Self:
        """Listen. Raises `OSError` when the port is taken, `RuntimeError` when it listens already."""
        if self._listener is not None:
            message = "this sandbox has been started already"
            raise RuntimeError(message)
        model()  # read botocore's files now, not in the first caller's time
        self._listener = Listener(self._host, self._port, self._service, self._clock)
        self._port = self._listener.server_address[1]
        self._listener.start()
        return self

    def stop(self) -> None:
        """Close the socket and every connection. Safe to call twice."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def url(self) -> str:
        """The endpoint, for `--endpoint-url`; known once it was started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def calls(self) -> Sequence[Call]:
        """What was called, oldest first, the last 10,000: CloudTrail-like records without secrets."""
        return self._service.log.all()

    @property
    def world(self) -> World:
        """The IAM behind it; another one takes effect with the next request, for credentials handed out before too."""
        return self._service.directory.world

    @world.setter
    def world(self, world: World) -> None:
        self._service.directory = Directory(world)

    @property
    def enabled_regions(self) -> frozenset[str] | None:
        """The regions where STS is active; None for all."""
        return self._service.enabled_regions

    @enabled_regions.setter
    def enabled_regions(self, regions: frozenset[str] | None) -> None:
        self._service.enabled_regions = regions

    @property
    def delay(self) -> float:
        """Seconds that each answer waits, 0 to 10."""
        return self._service.faults.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._service.faults.delay = seconds

    def fail_next(self, code: str, *, status: int = 500, times: int = 1) -> None:
        """Answer the next `times` requests with this error, whatever they ask.

        For example `fail_next("ServiceUnavailable", status=503, times=2)`.
        """
        self._service.faults.add(Fault(code=code, status=status), times)

    def down(self) -> None:
        """Be away: connections are refused until `up`."""
        self.stop()

    def up(self) -> None:
        """Be back, on the same port, knowing everything it knew."""
        self.start()

    def known(self, access_key_id: str) -> Session | None:
        """The temporary credentials of this key, if they were handed out here and whose they are still exists."""
        session = self._service.sessions.get(access_key_id)
        if session is None or self._service.directory.policy_of(session.caller) is None:
            return None
        return session

    def session_for(self, role_arn: str, session_name: str, *, duration: timedelta = timedelta(hours=1)) -> Credentials:
        """Credentials of a role as an instance profile or a task gets them: no caller, no trust policy.

        What is done with them is role chaining. Raises `KeyError` for a role that is not in the world.
        """
        now = self._clock()
        caller = role_caller(self._service.directory.roles[role_arn], session_name)
        return self._service.sessions.mint(replace(caller, issued=now), now.replace(microsecond=0) + duration)
