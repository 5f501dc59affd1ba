"""`Destination`: where in the AWS console somebody wants to arrive, and the hosts of the console in each partition.

A destination is a service and a region by name, never a URL: so the broker is no open redirector, whatever a link says.
Sources: AWS General Reference, "AWS Sign-In endpoints" and "AWS Management Console endpoints"; botocore's partitions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from broker.errors import InvalidRequest

HOME = "Console home"
_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+){1,2}-[0-9]{1,2}", re.ASCII)

SERVICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "acm": "Certificate Manager",
        "amplify": "Amplify",
        "apigateway": "API Gateway",
        "athena": "Athena",
        "backup": "Backup",
        "batch": "Batch",
        "bedrock": "Bedrock",
        "billing": "Billing and Cost Management",
        "cloudformation": "CloudFormation",
        "cloudfront": "CloudFront",
        "cloudshell": "CloudShell",
        "cloudtrail": "CloudTrail",
        "cloudwatch": "CloudWatch",
        "codebuild": "CodeBuild",
        "codecommit": "CodeCommit",
        "codedeploy": "CodeDeploy",
        "codepipeline": "CodePipeline",
        "cognito": "Cognito",
        "config": "Config",
        "datasync": "DataSync",
        "directconnect": "Direct Connect",
        "directoryservicev2": "Directory Service",
        "dms": "Database Migration Service",
        "docdb": "DocumentDB",
        "dynamodbv2": "DynamoDB",
        "ec2": "EC2",
        "ecr": "Elastic Container Registry",
        "ecs": "Elastic Container Service",
        "efs": "Elastic File System",
        "eks": "Elastic Kubernetes Service",
        "elasticache": "ElastiCache",
        "elasticbeanstalk": "Elastic Beanstalk",
        "elasticmapreduce": "EMR",
        "events": "EventBridge",
        "firehose": "Data Firehose",
        "fsx": "FSx",
        "glue": "Glue",
        "guardduty": "GuardDuty",
        "iam": "IAM",
        "inspector": "Inspector",
        "kinesis": "Kinesis",
        "kms": "Key Management Service",
        "lambda": "Lambda",
        "macie": "Macie",
        "msk": "Managed Streaming for Kafka",
        "neptune": "Neptune",
        "organizations": "Organizations",
        "quicksight": "QuickSight",
        "rds": "RDS and Aurora",
        "redshiftv2": "Redshift",
        "resource-groups": "Resource Groups",
        "route53": "Route 53",
        "s3": "S3",
        "sagemaker": "SageMaker",
        "secretsmanager": "Secrets Manager",
        "securityhub": "Security Hub",
        "servicequotas": "Service Quotas",
        "ses": "Simple Email Service",
        "sns": "Simple Notification Service",
        "sqs": "Simple Queue Service",
        "states": "Step Functions",
        "support": "Support",
        "systems-manager": "Systems Manager",
        "transfer": "Transfer Family",
        "vpc": "VPC",
        "wafv2": "WAF",
        "xray": "X-Ray",
    }
)
"""First part of the service's path in the console -> how people call it. All that a link may name beside the home."""

_BEGINS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aws-cn": "cn-",
        "aws-us-gov": "us-gov-",
        "aws-eusc": "eusc-",
        "aws-iso": "us-iso-",
        "aws-iso-b": "us-isob-",
        "aws-iso-e": "eu-isoe-",
        "aws-iso-f": "us-isof-",
    }
)
"""What the regions of each partition begin with; those of `aws` with none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A page of the console; both empty: the console's home, wherever the person was last."""

    service: str = ""
    """One of `SERVICES`; empty: the console's home."""
    region: str = ""

    def __post_init__(self) -> None:
        """Refuse, with `InvalidRequest`, what is no service of the list, and what cannot be a region."""
        if self.service and self.service not in SERVICES:  # check: console-service
            message = "The AWS console has no such service here."
            raise InvalidRequest(message, remedy="Leave `service` away for the console's home.")
        if self.region and not _REGION.fullmatch(self.region):  # check: console-region
            message = "That is not the name of an AWS region."
            raise InvalidRequest(message, remedy="Write one like eu-central-1, or leave `region` away.")

    @property
    def name(self) -> str:
        """How people call the service."""
        return SERVICES.get(self.service, HOME)

    def within(self, partition: str) -> bool:
        """Whether the region, if one is named, is of this partition."""
        own = _BEGINS.get(partition, "")
        foreign = any(self.region.startswith(begin) for other, begin in _BEGINS.items() if other != partition)
        return not self.region or (self.region.startswith(own) and not foreign)

    def url(self, hosts: "Hosts") -> str:
        """Its address in the partition of `hosts`."""
        host = f"{self.region}.{hosts.console}" if self.region else hosts.console
        query = f"?region={self.region}" if self.region else ""
        return f"https://{host}/{self.service or 'console'}/home{query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The console's host names in one partition."""

    sign_in: str
    console: str
    regional: bool = False
    """Whether `REGION.<sign_in>` is known to answer too: a second road when the first is closed."""


HOSTS: Final[Mapping[str, Hosts]] = MappingProxyType(
    {
        "aws": Hosts(sign_in="signin.aws.amazon.com", console="console.aws.amazon.com", regional=True),
        "aws-cn": Hosts(sign_in="signin.amazonaws.cn", console="console.amazonaws.cn"),
        "aws-us-gov": Hosts(sign_in="signin.amazonaws-us-gov.com", console="console.amazonaws-us-gov.com"),
    }
)
"""By partition. Those of the others are not public: `aws.console_hosts` names them where they are needed."""
