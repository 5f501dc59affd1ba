"""One client's conversation: requests in, answers out. No socket here.

Everything that has an answer gets one, also what cannot be understood: a client that waits for ever is worse than one
that is refused. Nothing can be changed over LDAP.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from broker.sandbox.directory.ber import BerError
from broker.sandbox.directory.binds import Accounts, BindAttempt
from broker.sandbox.directory.limits import Limits
from broker.sandbox.directory.messages import (
    ANSWERED_BY,
    DOMAIN_SCOPE,
    PAGED_RESULTS,
    START_TLS,
    Bind,
    Code,
    Control,
    Operation,
    Request,
    Response,
    Result,
    read_bind,
    read_compare,
    read_extended,
    read_paging,
    read_request,
    read_search,
    write_disconnection,
    write_result,
)
from broker.sandbox.directory.reading import FilterReader, FilterTooComplex
from broker.sandbox.directory.search import NOT_BOUND, Asked, Pages, Searcher

_LDAP_VERSION = 3
_LONGEST_NOTED = 1024


class Then(Enum):
    """What happens to the connection after an answer."""

    GO_ON = auto()
    START_TLS = auto()
    HANG_UP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to send, and what to do then."""

    messages: tuple[bytes, ...] = ()
    then: Then = Then.GO_ON


class Session:
    """One connection's state: whether it is under TLS, and who is bound. Not thread-safe: its owner holds the lock."""

    def __init__(
        self,
        accounts: Accounts,
        searcher: Searcher,
        limits: Limits,
        *,
        tls: bool,
        insecure_allow_clear_bind: bool,
        note: Callable[[BindAttempt], None],
    ) -> None:
        """`note` hears of every simple bind that carries a name or a password."""
        self._accounts = accounts
        self._searcher = searcher
        self._limits = limits
        self._tls = tls
        self._insecure_allow_clear_bind = insecure_allow_clear_bind
        self._note = note
        self._anonymous = True
        self._pages = Pages(limits.open_pages)

    def now_under_tls(self) -> None:
        """StartTLS has succeeded; what was bound in clear is forgotten."""
        self._tls = True
        self._anonymous = True

    def handle(self, octets: bytes) -> Answer:
        """The answer to one message. Raises nothing for what a client may send."""
        try:
            request = read_request(octets)
        except BerError as error:
            return Answer(messages=(write_disconnection(str(error)),), then=Then.HANG_UP)
        if request.operation is Operation.UNBIND:
            return Answer(then=Then.HANG_UP)
        if request.operation is Operation.ABANDON:
            return Answer()
        try:
            return self._answer(request)
        except FilterTooComplex as error:
            return _ended(request, Result(code=Code.ADMIN_LIMIT_EXCEEDED, text=str(error)))
        except BerError as error:
            return _ended(request, Result(code=Code.PROTOCOL_ERROR, text=str(error)))

    def _answer(self, request: Request) -> Answer:
        unknown = [c for c in request.controls if c.critical and c.oid not in (PAGED_RESULTS, DOMAIN_SCOPE)]
        if unknown:
            return _ended(request, Result(code=Code.UNAVAILABLE_CRITICAL_EXTENSION, text="a control is not supported"))
        match request.operation:
            case Operation.BIND:
                self._anonymous = True
                return _ended(request, self._bind(read_bind(request.element)))
            case Operation.SEARCH:
                return self._search(request)
            case Operation.COMPARE:
                return _ended(request, self._compare(request))
            case Operation.EXTENDED:
                return self._extended(request)
        return _ended(request, Result(code=Code.UNWILLING_TO_PERFORM, text="this directory is read-only"))

    def _bind(self, bind: Bind) -> Result:
        if bind.version != _LDAP_VERSION:
            return Result(code=Code.PROTOCOL_ERROR, text="LDAP version 3 only")
        if bind.password is None:
            return Result(code=Code.AUTH_METHOD_NOT_SUPPORTED, text="simple binds only")
        if not bind.name and not bind.password:
            return Result(code=Code.SUCCESS)
        result, data = self._simple_bind(bind.name, bind.password)
        self._anonymous = result.code is not Code.SUCCESS
        self._note(BindAttempt(name=bind.name[:_LONGEST_NOTED], result=int(result.code), data=data, tls=self._tls))
        return result

    def _simple_bind(self, name: str, password: bytes) -> tuple[Result, str]:
        if not password:  # check: sandbox-ldap-unauthenticated-bind
            return Result(code=Code.UNWILLING_TO_PERFORM, text="a name without a password proves nothing"), ""
        if not self._tls and not self._insecure_allow_clear_bind:  # check: sandbox-ldap-clear-bind
            return Result(
                code=Code.STRONGER_AUTH_REQUIRED,
                text="00002028: LdapErr: DSID-0C090276, comment: The server requires binds to turn on integrity "
                "checking if SSL\\TLS are not already active on the connection, data 0, v4563",
            ), ""
        data = self._accounts.check(name, password)
        if not data:
            return Result(code=Code.SUCCESS), ""
        text = f"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v4563"
        return Result(code=Code.INVALID_CREDENTIALS, text=text), data

    def _search(self, request: Request) -> Answer:
        reader = FilterReader(depth=self._limits.filter_depth, items=self._limits.filter_items)
        search = read_search(request.element, reader)
        paged = _control(request, PAGED_RESULTS)
        asked = Asked(
            message_id=request.id,
            anonymous=self._anonymous,
            tls=self._tls,
            page=read_paging(paged.value) if paged else None,
            domain_scope=_control(request, DOMAIN_SCOPE) is not None,
            pages=self._pages,
        )
        return Answer(messages=tuple(self._searcher.run(search, asked)))

    def _compare(self, request: Request) -> Result:
        name, attribute, value = read_compare(request.element)
        if self._anonymous:  # check: sandbox-ldap-anonymous-compare
            return Result(code=Code.OPERATIONS_ERROR, text=NOT_BOUND)
        return self._searcher.compare(name, attribute, value)

    def _extended(self, request: Request) -> Answer:
        oid = read_extended(request.element)
        if oid != START_TLS:
            text = "the extended operation is not supported"
            return _extended(request, Result(code=Code.PROTOCOL_ERROR, text=text), oid)
        if self._tls:
            return _extended(request, Result(code=Code.OPERATIONS_ERROR, text="TLS is there already"), oid)
        return _extended(request, Result(code=Code.SUCCESS), oid, Then.START_TLS)


def _control(request: Request, oid: str) -> Control | None:
    return next((control for control in request.controls if control.oid == oid), None)


def _ended(request: Request, result: Result) -> Answer:
    return Answer(messages=(write_result(request.id, ANSWERED_BY[request.operation], result),))


def _extended(request: Request, result: Result, oid: str, then: Then = Then.GO_ON) -> Answer:
    return Answer(messages=(write_result(request.id, Response.EXTENDED, result, name=oid),), then=then)
