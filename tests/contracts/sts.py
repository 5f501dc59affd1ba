"""What an STS does: one suite for the sandbox and for a stand-in that is not ours, so that neither drifts alone.

A scenario speaks to a `Harness` (make a user, a role) and to the STS through boto3. An implementation lists in
`KNOWN_DIFFERENCES` where it is known to be wrong; each is a strict xfail with its reason.
"""

import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Protocol

import boto3
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

HOME, AWAY = "111111111111", "222222222222"
"""The callers' account, and another one."""

ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)

Document = Mapping[str, Any]
Client = Any
"""boto3 makes its classes at run time."""
_names = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    arn: str
    key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


class Harness(Protocol):
    url: str

    def user(self, name: str, policy: Document | None = None) -> Caller: ...
    def role(
        self, name: str, trust: Document, *, account: str, max_session: int = 3600, policy: Document | None = None
    ) -> str: ...
    def managed(self, name: str, document: Document, *, account: str) -> str: ...
    def root(self) -> Caller: ...


def sts_client(url: str, caller: Caller, *, region: str = "us-east-1", check: bool = True) -> Client:
    return boto3.client(
        "sts",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=caller.key,
        aws_secret_access_key=caller.secret,
        aws_session_token=caller.token or None,
        config=ONE_TRY.merge(Config(parameter_validation=check)),
    )


def name() -> str:
    return f"thing-{next(_names)}"


def statement(effect: str = "Allow", action: Any = "sts:*", **more: Any) -> Document:  # noqa: ANN401 (JSON)
    return {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, **more}]}


def may_everything() -> Document:
    return statement(Resource="*")


def trusting(principal: str, *, action: Any = "sts:AssumeRole", condition: Document | None = None) -> Document:  # noqa: ANN401 (JSON)
    return statement(action=action, Principal={"AWS": principal}, **({"Condition": condition} if condition else {}))


ALL = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


def refused(call: Client, *codes: str, status: int | None = None, **parameters: Any) -> str:  # noqa: ANN401 (any of a client's methods)
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] in codes
    if status is not None:
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    return str(caught.value.response["Error"]["Message"])


def session_of(answer: Mapping[str, Any]) -> Caller:
    made = answer["Credentials"]
    arn = answer.get("AssumedRoleUser", {}).get("Arn", "")
    return Caller(arn=arn, key=made["AccessKeyId"], secret=made["SecretAccessKey"], token=made["SessionToken"])


def hub_of(answer: Mapping[str, Any]) -> str:
    return f"arn:aws:iam::{AWAY}:role/{answer['AssumedRoleUser']['Arn'].split('/')[1]}"


def signed_query(url: str, caller: Caller, query: str, *, region: str = "us-east-1", service: str = "sts") -> str:
    """The URL of a GET that botocore has signed, whatever the query says."""
    request = AWSRequest("GET", f"{url}/?{query}")
    SigV4QueryAuth(Credentials(caller.key, caller.secret, caller.token or None), service, region).add_auth(request)
    return str(request.url)


def fetch(url: str) -> tuple[int, str]:
    """Status and AWS's error code."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (loopback)
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode().partition("<Code>")[2].partition("</Code>")[0]


class StsContract:
    """Inherit, give the fixture `aws`, and list the known differences by test name."""

    KNOWN_DIFFERENCES: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _known_differences(self, request: pytest.FixtureRequest) -> None:
        reason = self.KNOWN_DIFFERENCES.get(request.node.originalname)
        if reason:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    def _pair(self, aws: Harness, trust: Document | None = None, **role: Any) -> tuple[Client, str]:  # noqa: ANN401 (as `role` takes)
        """A client of a user who may do everything, and a role in the other account that trusts it (or `trust`)."""
        caller = aws.user(name(), may_everything())
        arn = aws.role(name(), trust or trusting(caller.arn, action=ALL), account=AWAY, **role)
        return sts_client(aws.url, caller, check=False), arn

    def _chain(self, aws: Harness, **first: Any) -> tuple[Client, str, Mapping[str, Any]]:  # noqa: ANN401 (as `assume_role` takes)
        """A session of a role that may do everything, another role that trusts it, and the first one's answer."""
        client, hub = self._pair(aws, policy=may_everything())
        spoke = aws.role(name(), trusting(hub, action=ALL), account=HOME, max_session=43200, policy=may_everything())
        answer = client.assume_role(RoleArn=hub, RoleSessionName="jane", **first)
        return sts_client(aws.url, session_of(answer), check=False), spoke, answer

    # who calls

    def test_a_user_is_told_who_it_is(self, aws: Harness) -> None:
        caller = aws.user(name())
        told = sts_client(aws.url, caller).get_caller_identity()
        assert (told["Arn"], told["Account"]) == (caller.arn, HOME)
        assert told["UserId"].startswith("AIDA")

    def test_root_is_told_who_it_is(self, aws: Harness) -> None:
        told = sts_client(aws.url, aws.root()).get_caller_identity()
        assert (told["Arn"], told["UserId"]) == (f"arn:aws:iam::{HOME}:root", HOME)

    def test_a_session_is_told_its_role_and_its_name(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        answer = client.assume_role(RoleArn=role, RoleSessionName="jane.doe@example.org")
        told = sts_client(aws.url, session_of(answer)).get_caller_identity()
        expected = f"arn:aws:sts::{AWAY}:assumed-role/{role.rpartition('/')[2]}/jane.doe@example.org"
        assert told["Arn"] == expected == answer["AssumedRoleUser"]["Arn"]
        assert told["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
        assert told["UserId"].startswith("AROA")
        assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")

    def test_an_unknown_key_is_refused(self, aws: Harness) -> None:
        stranger = Caller(arn="", key="AKIAAAAAAAAAAAAAAAAA", secret="x" * 40)
        refused(sts_client(aws.url, stranger).get_caller_identity, "InvalidClientTokenId", status=403)

    def test_a_wrong_secret_is_refused(self, aws: Harness) -> None:
        caller = aws.user(name())
        forged = Caller(arn=caller.arn, key=caller.key, secret="x" * 40)
        refused(sts_client(aws.url, forged).get_caller_identity, "SignatureDoesNotMatch", status=403)
        assert sts_client(aws.url, caller).get_caller_identity()["Arn"] == caller.arn

    @pytest.mark.parametrize("token", ["", "another"])
    def test_a_session_needs_its_own_token(self, aws: Harness, token: str) -> None:
        client, role = self._pair(aws)
        one, two = (session_of(client.assume_role(RoleArn=role, RoleSessionName="jane")) for _ in range(2))
        mixed = Caller(arn="", key=one.key, secret=one.secret, token=two.token if token else "")
        refused(sts_client(aws.url, mixed).get_caller_identity, "InvalidClientTokenId", status=403)
        sts_client(aws.url, one).get_caller_identity()

    def test_an_unsigned_request_is_refused(self, aws: Harness) -> None:
        url = f"{aws.url}/?Action=GetCallerIdentity&Version=2011-06-15"
        assert fetch(url) == (403, "MissingAuthenticationToken")

    def test_a_presigned_query_works_and_a_changed_one_does_not(self, aws: Harness) -> None:
        client = sts_client(aws.url, aws.user(name()))
        url = client.generate_presigned_url("get_caller_identity", HttpMethod="GET", ExpiresIn=60)
        assert fetch(url)[0] == 200
        assert fetch(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")) == (403, "SignatureDoesNotMatch")

    def test_an_unknown_action_is_refused(self, aws: Harness) -> None:
        url = signed_query(aws.url, aws.user(name()), "Action=AssumeEverything&Version=2011-06-15")
        assert fetch(url) == (400, "InvalidAction")

    # who may assume

    def test_a_trusted_caller_with_permission_assumes_a_role_of_another_account(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        assert client.assume_role(RoleArn=role, RoleSessionName="jane")["Credentials"]["SessionToken"]

    def test_a_role_that_does_not_exist_cannot_be_assumed(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        refused(client.assume_role, "AccessDenied", status=403, RoleArn=f"{role}-not", RoleSessionName="jane")

    def test_a_trust_policy_that_names_someone_else_refuses(self, aws: Harness) -> None:
        client, role = self._pair(aws, trusting(aws.user(name()).arn))
        refused(client.assume_role, "AccessDenied", status=403, RoleArn=role, RoleSessionName="jane")

    def test_across_accounts_trust_alone_is_not_enough(self, aws: Harness) -> None:
        caller = aws.user(name())
        role = aws.role(name(), trusting(caller.arn), account=AWAY)
        refused(sts_client(aws.url, caller).assume_role, "AccessDenied", RoleArn=role, RoleSessionName="jane")

    def test_in_one_account_trust_of_this_very_user_is_enough(self, aws: Harness) -> None:
        caller = aws.user(name())
        role = aws.role(name(), trusting(caller.arn), account=HOME)
        assert sts_client(aws.url, caller).assume_role(RoleArn=role, RoleSessionName="jane")

    def test_trust_of_the_account_leaves_it_to_the_users_own_policy(self, aws: Harness) -> None:
        role = aws.role(name(), trusting(f"arn:aws:iam::{HOME}:root"), account=HOME)
        with_policy, without = aws.user(name(), may_everything()), aws.user(name())
        assert sts_client(aws.url, with_policy).assume_role(RoleArn=role, RoleSessionName="jane")
        refused(sts_client(aws.url, without).assume_role, "AccessDenied", RoleArn=role, RoleSessionName="jane")

    def test_a_policy_for_another_role_is_not_enough(self, aws: Harness) -> None:
        caller = aws.user(name(), statement(action="sts:AssumeRole", Resource=f"arn:aws:iam::{AWAY}:role/other-*"))
        client = sts_client(aws.url, caller)
        mine = aws.role(f"other-{name()}", trusting(caller.arn), account=AWAY)
        other = aws.role(name(), trusting(caller.arn), account=AWAY)
        assert client.assume_role(RoleArn=mine, RoleSessionName="jane")
        refused(client.assume_role, "AccessDenied", RoleArn=other, RoleSessionName="jane")

    def test_an_explicit_deny_of_the_caller_wins(self, aws: Harness) -> None:
        deny = {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"}
        caller = aws.user(name(), {**may_everything(), "Statement": [*may_everything()["Statement"], deny]})
        role = aws.role(name(), trusting(caller.arn), account=HOME)
        refused(sts_client(aws.url, caller).assume_role, "AccessDenied", RoleArn=role, RoleSessionName="jane")

    def test_an_explicit_deny_of_the_trust_policy_wins(self, aws: Harness) -> None:
        caller = aws.user(name(), may_everything())
        allow = trusting(caller.arn)
        deny = statement("Deny", "sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{HOME}:root"})
        both = {**allow, "Statement": [*allow["Statement"], *deny["Statement"]]}
        role = aws.role(name(), both, account=AWAY)
        refused(sts_client(aws.url, caller).assume_role, "AccessDenied", RoleArn=role, RoleSessionName="jane")

    def test_root_assumes_no_role(self, aws: Harness) -> None:
        role = aws.role(name(), trusting("*"), account=HOME)
        assert sts_client(aws.url, aws.user(name(), may_everything())).assume_role(RoleArn=role, RoleSessionName="jane")
        client = sts_client(aws.url, aws.root())
        assert "root" in refused(client.assume_role, "AccessDenied", RoleArn=role, RoleSessionName="jane")

    @pytest.mark.parametrize(("sent", "allowed"), [("right-one", True), ("wrong-one", False), ("", False)])
    def test_the_external_id_must_be_the_demanded_one(self, aws: Harness, sent: str, allowed: bool) -> None:  # noqa: FBT001 (a parameter)
        caller = aws.user(name(), may_everything())
        condition = {"StringEquals": {"sts:ExternalId": "right-one"}}
        role = aws.role(name(), trusting(caller.arn, condition=condition), account=AWAY)
        client = sts_client(aws.url, caller)
        given = {"RoleArn": role, "RoleSessionName": "jane"} | ({"ExternalId": sent} if sent else {})
        if allowed:
            assert client.assume_role(**given)
        else:
            refused(client.assume_role, "AccessDenied", **given)

    def test_a_condition_on_the_session_name_is_applied(self, aws: Harness) -> None:
        caller = aws.user(name(), may_everything())
        condition = {"StringLike": {"sts:RoleSessionName": "jane*"}}
        role = aws.role(name(), trusting(caller.arn, condition=condition), account=AWAY)
        client = sts_client(aws.url, caller)
        assert client.assume_role(RoleArn=role, RoleSessionName="jane.doe")
        refused(client.assume_role, "AccessDenied", RoleArn=role, RoleSessionName="mallory")

    # tags

    def test_tags_need_permission_in_the_trust_policy(self, aws: Harness) -> None:
        caller = aws.user(name(), may_everything())
        role = aws.role(name(), trusting(caller.arn), account=AWAY)
        client = sts_client(aws.url, caller)
        tags = [{"Key": "team", "Value": "red"}]
        text = refused(client.assume_role, "AccessDenied", RoleArn=role, RoleSessionName="jane", Tags=tags)
        assert "sts:TagSession" in text
        assert client.assume_role(RoleArn=role, RoleSessionName="jane")

    def test_a_condition_on_a_tag_is_applied(self, aws: Harness) -> None:
        caller = aws.user(name(), may_everything())
        condition = {
            "StringEquals": {"aws:RequestTag/team": "red"},
            "ForAllValues:StringLike": {"aws:TagKeys": ["team", "cost*"]},
        }
        role = aws.role(name(), trusting(caller.arn, action=ALL, condition=condition), account=AWAY)
        client = sts_client(aws.url, caller)

        def assume(**tags: str) -> Client:
            sent = [{"Key": key, "Value": value} for key, value in tags.items()]
            return client.assume_role(RoleArn=role, RoleSessionName="jane", Tags=sent)

        assert assume(team="red", costcentre="7")
        refused(assume, "AccessDenied", team="blue")
        refused(assume, "AccessDenied", costcentre="7")
        refused(assume, "AccessDenied", team="red", other="1")

    def test_tag_keys_differ_by_more_than_case(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        tags = [{"Key": "Team", "Value": "red"}, {"Key": "team", "Value": "red"}]
        refused(client.assume_role, "InvalidParameterValue", RoleArn=role, RoleSessionName="jane", Tags=tags)

    def test_at_most_fifty_tags(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        tags = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
        assert client.assume_role(RoleArn=role, RoleSessionName="jane", Tags=tags[:50])
        refused(client.assume_role, "ValidationError", RoleArn=role, RoleSessionName="jane", Tags=tags)

    @pytest.mark.parametrize(
        "tag", [{"Key": "a<b", "Value": "v"}, {"Key": "k" * 129, "Value": "v"}, {"Key": "k", "Value": "v" * 257}]
    )
    def test_tags_have_their_form_and_length(self, aws: Harness, tag: dict[str, str]) -> None:
        client, role = self._pair(aws)
        refused(client.assume_role, "ValidationError", RoleArn=role, RoleSessionName="jane", Tags=[tag])

    def test_tag_keys_of_aws_are_refused(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        tags = [{"Key": "aws:team", "Value": "red"}]
        codes = ("InvalidParameterValue", "ValidationError")
        refused(client.assume_role, *codes, RoleArn=role, RoleSessionName="jane", Tags=tags)

    def test_only_a_tag_that_is_sent_can_be_transitive(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        given = {"RoleArn": role, "RoleSessionName": "jane", "TransitiveTagKeys": ["team"]}
        assert client.assume_role(**given, Tags=[{"Key": "Team", "Value": "red"}])
        refused(client.assume_role, "InvalidParameterValue", **given, Tags=[{"Key": "cost", "Value": "7"}])

    def test_a_transitive_tag_cannot_be_set_again(self, aws: Harness) -> None:
        tags = [{"Key": "team", "Value": "red"}, {"Key": "desk", "Value": "3"}]
        session, spoke, _ = self._chain(aws, Tags=tags, TransitiveTagKeys=["team"])
        given = {"RoleArn": spoke, "RoleSessionName": "jane"}
        refused(session.assume_role, "InvalidParameterValue", **given, Tags=[{"Key": "Team", "Value": "blue"}])
        assert session.assume_role(**given, Tags=[{"Key": "Desk", "Value": "4"}])

    def test_an_inherited_tag_needs_permission_in_the_trust_policy(self, aws: Harness) -> None:
        tags = [{"Key": "team", "Value": "red"}]
        session, _, answer = self._chain(aws, Tags=tags, TransitiveTagKeys=["team"])
        spoke = aws.role(name(), trusting(hub_of(answer)), account=HOME)
        given = {"RoleArn": spoke, "RoleSessionName": "jane"}
        assert "sts:TagSession" in refused(session.assume_role, "AccessDenied", **given)

    def test_a_transitive_tag_goes_along_the_chain(self, aws: Harness) -> None:
        tags = [{"Key": "team", "Value": "red"}, {"Key": "desk", "Value": "3"}]
        session, spoke, _ = self._chain(aws, Tags=tags, TransitiveTagKeys=["team"])
        second = session_of(session.assume_role(RoleArn=spoke, RoleSessionName="jane"))
        for key, value, allowed in (("team", "red", True), ("team", "blue", False), ("desk", "3", False)):
            condition = {"StringEquals": {f"aws:PrincipalTag/{key}": value}}
            last = aws.role(name(), trusting(spoke, action=ALL, condition=condition), account=HOME)
            client = sts_client(aws.url, second)
            if allowed:
                assert client.assume_role(RoleArn=last, RoleSessionName="jane")
            else:
                refused(client.assume_role, "AccessDenied", RoleArn=last, RoleSessionName="jane")

    # source identity

    def test_a_source_identity_needs_permission_in_the_trust_policy(self, aws: Harness) -> None:
        caller = aws.user(name(), may_everything())
        role = aws.role(name(), trusting(caller.arn), account=AWAY)
        client = sts_client(aws.url, caller)
        given = {"RoleArn": role, "RoleSessionName": "jane", "SourceIdentity": "jane"}
        assert "sts:SetSourceIdentity" in refused(client.assume_role, "AccessDenied", **given)

    def test_a_source_identity_is_echoed(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        answer = client.assume_role(RoleArn=role, RoleSessionName="jane", SourceIdentity="jane.doe")
        assert answer["SourceIdentity"] == "jane.doe"
        assert "SourceIdentity" not in client.assume_role(RoleArn=role, RoleSessionName="jane")

    def test_a_trust_policy_can_demand_a_source_identity(self, aws: Harness) -> None:
        caller = aws.user(name(), may_everything())
        condition = {"StringLike": {"sts:SourceIdentity": "jane*"}}
        role = aws.role(name(), trusting(caller.arn, action=ALL, condition=condition), account=AWAY)
        client = sts_client(aws.url, caller)
        assert client.assume_role(RoleArn=role, RoleSessionName="jane", SourceIdentity="jane.doe")
        refused(client.assume_role, "AccessDenied", RoleArn=role, RoleSessionName="jane", SourceIdentity="mallory")
        refused(client.assume_role, "AccessDenied", RoleArn=role, RoleSessionName="jane")

    def test_a_source_identity_goes_along_the_chain_and_cannot_be_changed(self, aws: Harness) -> None:
        session, spoke, _ = self._chain(aws, SourceIdentity="jane.doe")
        answer = session.assume_role(RoleArn=spoke, RoleSessionName="jane")
        assert answer["SourceIdentity"] == "jane.doe"
        given = {"RoleArn": spoke, "RoleSessionName": "jane"}
        refused(session.assume_role, "AccessDenied", **given, SourceIdentity="mallory")
        assert session.assume_role(**given, SourceIdentity="jane.doe")

    def test_an_inherited_source_identity_needs_permission_too(self, aws: Harness) -> None:
        session, _, answer = self._chain(aws, SourceIdentity="jane.doe")
        spoke = aws.role(name(), trusting(hub_of(answer)), account=HOME)
        given = {"RoleArn": spoke, "RoleSessionName": "jane"}
        assert "sts:SetSourceIdentity" in refused(session.assume_role, "AccessDenied", **given)

    # names and durations

    @pytest.mark.parametrize(
        "bad", ["j", "j" * 65, "jane doe", "jane/doe", "j\N{LATIN SMALL LETTER O WITH DIAERESIS}rg"]
    )
    def test_a_session_name_has_its_form(self, aws: Harness, bad: str) -> None:
        client, role = self._pair(aws)
        refused(client.assume_role, "ValidationError", status=400, RoleArn=role, RoleSessionName=bad)

    @pytest.mark.parametrize("good", ["ja", "j" * 64, "_+=,.@-"])
    def test_a_session_name_within_its_form_is_taken(self, aws: Harness, good: str) -> None:
        client, role = self._pair(aws)
        answer = client.assume_role(RoleArn=role, RoleSessionName=good)
        assert answer["AssumedRoleUser"]["Arn"].endswith(f"/{good}")

    @pytest.mark.parametrize("seconds", [1, 899])
    def test_a_session_lasts_fifteen_minutes_at_least(self, aws: Harness, seconds: int) -> None:
        client, role = self._pair(aws)
        given = {"RoleArn": role, "RoleSessionName": "jane"}
        refused(client.assume_role, "ValidationError", status=400, **given, DurationSeconds=seconds)

    @pytest.mark.parametrize("seconds", [7201, 43201])
    def test_a_session_lasts_as_long_as_its_role_allows_at_most(self, aws: Harness, seconds: int) -> None:
        client, role = self._pair(aws, max_session=7200)
        given = {"RoleArn": role, "RoleSessionName": "jane"}
        refused(client.assume_role, "ValidationError", status=400, **given, DurationSeconds=seconds)

    @pytest.mark.parametrize("seconds", [900, 3600, 7200])
    def test_a_session_lasts_as_long_as_was_asked_for(self, aws: Harness, seconds: int) -> None:
        client, role = self._pair(aws, max_session=7200)
        answer = client.assume_role(RoleArn=role, RoleSessionName="jane", DurationSeconds=seconds)
        start = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        ends = answer["Credentials"]["Expiration"]
        assert abs((ends - parsedate_to_datetime(start)).total_seconds() - seconds) <= 2

    def test_a_chained_session_lasts_one_hour_at_most(self, aws: Harness) -> None:
        session, spoke, _ = self._chain(aws)
        given = {"RoleArn": spoke, "RoleSessionName": "jane"}
        assert session.assume_role(**given, DurationSeconds=3600)
        assert "chaining" in refused(session.assume_role, "ValidationError", **given, DurationSeconds=3601)

    # session policies

    def test_a_session_policy_limits_the_session(self, aws: Harness) -> None:
        client, hub = self._pair(aws, policy=may_everything())
        spoke = aws.role(name(), trusting(hub), account=HOME)
        for action, allowed in (("sts:AssumeRole", True), ("s3:GetObject", False)):
            policy = json.dumps(statement(action=action, Resource="*"))
            answer = client.assume_role(RoleArn=hub, RoleSessionName="jane", Policy=policy)
            session = sts_client(aws.url, session_of(answer))
            if allowed:
                assert session.assume_role(RoleArn=spoke, RoleSessionName="jane")
            else:
                refused(session.assume_role, "AccessDenied", RoleArn=spoke, RoleSessionName="jane")

    @pytest.mark.parametrize("policy", ["{", '{"Version":"2012-10-17"}', json.dumps(statement(action="s3:GetObject"))])
    def test_a_session_policy_is_a_policy(self, aws: Harness, policy: str) -> None:
        client, role = self._pair(aws)
        given = {"RoleArn": role, "RoleSessionName": "jane", "Policy": policy}
        refused(client.assume_role, "MalformedPolicyDocument", status=400, **given)

    def test_a_session_policy_is_not_too_long(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        policy = json.dumps(statement(action="s3:GetObject", Resource="arn:aws:s3:::" + "b" * 2048))
        codes = ("PackedPolicyTooLarge", "ValidationError")  # the first since the model dropped its own maximum
        refused(client.assume_role, *codes, status=400, RoleArn=role, RoleSessionName="jane", Policy=policy)

    def test_managed_session_policies_exist_in_the_roles_account(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        there = aws.managed(name(), statement(action="s3:GetObject", Resource="*"), account=AWAY)
        here = aws.managed(name(), statement(action="s3:GetObject", Resource="*"), account=HOME)
        given = {"RoleArn": role, "RoleSessionName": "jane"}
        assert client.assume_role(**given, PolicyArns=[{"arn": there}])
        for arn in (here, f"{there}-not"):
            refused(client.assume_role, "ValidationError", **given, PolicyArns=[{"arn": arn}])

    def test_the_packed_size_grows_with_what_is_sent(self, aws: Harness) -> None:
        client, role = self._pair(aws)
        tags = [{"Key": f"key-{number}", "Value": f"value {number * 7919}"} for number in range(30)]
        given = {"RoleArn": role, "RoleSessionName": "jane"}
        few, many = (client.assume_role(**given, Tags=some)["PackedPolicySize"] for some in (tags[:1], tags))
        assert 0 < few < many <= 100

    # what the other actions allow

    def test_session_credentials_get_no_further_tokens(self, aws: Harness) -> None:
        client, role = self._pair(aws, policy=may_everything())
        session = sts_client(aws.url, session_of(client.assume_role(RoleArn=role, RoleSessionName="jane")))
        refused(session.get_session_token, "AccessDenied", status=403)
        refused(session.get_federation_token, "AccessDenied", status=403, Name="jane")
        assert client.get_session_token()["Credentials"]["SessionToken"]

    def test_a_federated_user_is_told_who_it_is_and_assumes_no_role(self, aws: Harness) -> None:
        caller = aws.user(name(), may_everything())
        role = aws.role(name(), trusting(caller.arn), account=HOME)
        answer = sts_client(aws.url, caller).get_federation_token(Name="jane", Policy=json.dumps(may_everything()))
        client = sts_client(aws.url, session_of(answer))
        assert client.get_caller_identity()["Arn"] == f"arn:aws:sts::{HOME}:federated-user/jane"
        refused(client.assume_role, "AccessDenied", RoleArn=role, RoleSessionName="jane")
