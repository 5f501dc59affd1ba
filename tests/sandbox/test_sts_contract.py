import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import boto3
import pytest
from contracts.sts import HOME, ONE_TRY, Caller, Client, Document, StsContract
from neighbours.ministack import Ministack

from broker.clock import utc_now
from broker.sandbox.sts import Role, Root, SandboxSts, User, World, new_access_key


class SandboxHarness:
    def __init__(self, sts: SandboxSts) -> None:
        self._sts = sts
        self.url = sts.url

    def user(self, name: str, policy: Document | None = None) -> Caller:
        key = new_access_key()
        user = User(arn=f"arn:aws:iam::{HOME}:user/{name}", keys=(key,), policy=json.dumps(policy) if policy else "")
        self._sts.world = replace(self._sts.world, users=(*self._sts.world.users, user))
        return Caller(arn=user.arn, key=key.id, secret=key.secret)

    def role(
        self, name: str, trust: Document, *, account: str, max_session: int = 3600, policy: Document | None = None
    ) -> str:
        role = Role(
            arn=f"arn:aws:iam::{account}:role/{name}",
            trust=json.dumps(trust),
            max_session=timedelta(seconds=max_session),
            policy=json.dumps(policy) if policy else "",
        )
        self._sts.world = replace(self._sts.world, roles=(*self._sts.world.roles, role))
        return role.arn

    def managed(self, name: str, document: Document, *, account: str) -> str:
        arn = f"arn:aws:iam::{account}:policy/{name}"
        self._sts.world = replace(self._sts.world, managed={**self._sts.world.managed, arn: json.dumps(document)})
        return arn

    def root(self) -> Caller:
        root = self._sts.world.roots[0]
        return Caller(arn=root.arn, key=root.keys[0].id, secret=root.keys[0].secret)


class MinistackHarness:
    """IAM through its own API, as each account's root."""

    def __init__(self, ministack: Ministack) -> None:
        self.url = ministack.url
        self._secret = ministack.secret

    def user(self, name: str, policy: Document | None = None) -> Caller:
        iam = self._iam(HOME)
        arn = iam.create_user(UserName=name)["User"]["Arn"]
        if policy is not None:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Caller(arn=arn, key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    def role(
        self, name: str, trust: Document, *, account: str, max_session: int = 3600, policy: Document | None = None
    ) -> str:
        iam = self._iam(account)
        made = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), MaxSessionDuration=max_session
        )
        if policy is not None:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        return str(made["Role"]["Arn"])

    def managed(self, name: str, document: Document, *, account: str) -> str:
        made = self._iam(account).create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
        return str(made["Policy"]["Arn"])

    def root(self) -> Caller:
        return Caller(arn=f"arn:aws:iam::{HOME}:root", key=HOME, secret=self._secret)

    def _iam(self, account: str) -> Client:
        return boto3.client(
            "iam",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=account,
            aws_secret_access_key=self._secret,
            config=ONE_TRY,
        )


class TestSandboxSts(StsContract):
    @pytest.fixture
    def aws(self) -> Iterator[SandboxHarness]:
        world = World(roots=(Root(account=HOME, keys=(new_access_key(),)),))
        with SandboxSts(world, clock=utc_now) as sts:
            yield SandboxHarness(sts)


class TestMinistack(StsContract):
    KNOWN_DIFFERENCES: ClassVar[Mapping[str, str]] = {
        "test_root_assumes_no_role": "lets an account's root assume roles",
        "test_in_one_account_trust_of_this_very_user_is_enough": "demands an identity policy in the same account too",
        "test_at_most_fifty_tags": "does not count tags",
        "test_tags_have_their_form_and_length": "does not check the form and length of tags",
        "test_tag_keys_of_aws_are_refused": "takes tag keys that begin with aws:",
        "test_only_a_tag_that_is_sent_can_be_transitive": "does not compare transitive keys with the tags",
        "test_an_unknown_action_is_refused": "chooses the service by the action, and takes an unknown one for S3",
        "test_a_transitive_tag_goes_along_the_chain": "carries no tags along a chain",
        "test_a_transitive_tag_cannot_be_set_again": "lets a chained session override a transitive tag",
        "test_an_inherited_tag_needs_permission_in_the_trust_policy": "demands sts:TagSession for sent tags only",
        "test_a_source_identity_needs_permission_in_the_trust_policy": "does not demand sts:SetSourceIdentity",
        "test_a_source_identity_is_echoed": "does not keep source identities",
        "test_a_trust_policy_can_demand_a_source_identity": "has no condition key sts:SourceIdentity",
        "test_a_source_identity_goes_along_the_chain_and_cannot_be_changed": "does not keep source identities",
        "test_an_inherited_source_identity_needs_permission_too": "does not keep source identities",
        "test_a_session_name_has_its_form": "does not check session names",
        "test_a_session_lasts_fifteen_minutes_at_least": "takes any duration",
        "test_a_session_lasts_as_long_as_its_role_allows_at_most": "does not apply MaxSessionDuration",
        "test_a_chained_session_lasts_one_hour_at_most": "does not know the limit of role chaining",
        "test_the_packed_size_grows_with_what_is_sent": "answers a packed size of 0",
    }

    @pytest.fixture
    def aws(self, ministack: Ministack) -> MinistackHarness:
        return MinistackHarness(ministack)
