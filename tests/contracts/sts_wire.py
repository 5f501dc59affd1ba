"""A hand-made client of STS for the tests: signs as asked, and sends bytes that no library would send."""

import hashlib
import hmac
import http.client
import re
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from contracts.sts import Caller

from broker.sandbox.sts import SandboxSts

WHO = "Action=GetCallerIdentity&Version=2011-06-15"


class Answer(NamedTuple):
    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def with_header(self, name: str, value: str) -> "Raw":
        others = tuple(header for header in self.headers if header[0] != name)
        return replace(self, headers=(*others, (name, value)))

    def answer(self, sts: SandboxSts) -> http.client.HTTPResponse:
        host, _, port = sts.url.removeprefix("http://").rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=10)
        try:
            connection.putrequest(self.method, self.target, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers:
                connection.putheader(name, value.encode())
            if not any(name in ("content-length", "transfer-encoding") for name, _ in self.headers):
                connection.putheader("content-length", str(len(self.body)))
            connection.endheaders(self.body)
            response = connection.getresponse()
            response.text = response.read().decode()  # type: ignore[attr-defined]
        finally:
            connection.close()
        return response

    @staticmethod
    def digest(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()


def send(sts: SandboxSts, raw: Raw) -> Answer:
    response = raw.answer(sts)
    text = response.text  # type: ignore[attr-defined]

    def inside(tag: str) -> str:
        found = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        return found[1] if found else ""

    if response.status == HTTPStatus.OK:
        return Answer(200, "", inside("Arn"))
    return Answer(response.status, inside("Code"), inside("Message").replace("&#x27;", "'"))


def identity_of(answer: Answer) -> str:
    assert answer.status == HTTPStatus.OK, answer
    return answer.message


def signed(  # noqa: PLR0913 (each is one thing that can be wrong)
    sts: SandboxSts,
    caller: Caller,
    when: datetime,
    *,
    method: str = "POST",
    query: str = WHO,
    region: str = "us-east-1",
    service: str = "sts",
    day: str = "",
    stamp: str | None = None,
    headers: dict[str, str] | None = None,
    unsigned: tuple[str, ...] = (),
    signature: str | None = None,
) -> Raw:
    """A request of `query`, signed by the book but for what is asked."""
    stamp = when.strftime("%Y%m%dT%H%M%SZ") if stamp is None else stamp
    scope = f"{day or stamp[:8]}/{region}/{service}/aws4_request"
    all_headers = {"host": sts.url.removeprefix("http://"), "x-amz-date": stamp, **(headers or {})}
    if caller.token:
        all_headers["x-amz-security-token"] = caller.token
    body, line = (query.encode(), "") if method == "POST" else (b"", "&".join(sorted(query.split("&"))))
    if method == "POST":
        all_headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8"
    names = sorted(set(all_headers) - set(unsigned))
    lines = "".join(f"{name}:{all_headers[name]}\n" for name in names)
    canonical = f"{method}\n/\n{line}\n{lines}\n{';'.join(names)}\n{Raw.digest(body)}"
    key = f"AWS4{caller.secret}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{Raw.digest(canonical.encode())}"):
        key = hmac.digest(key, part.encode(), "sha256")
    value = key.hex() if signature is None else signature
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={caller.key}/{scope}, SignedHeaders={';'.join(names)}, Signature={value}"
    )
    all_headers["authorization"] = authorization
    return Raw(method=method, target=f"/?{line}" if line else "/", headers=tuple(all_headers.items()), body=body)
