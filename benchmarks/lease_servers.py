"""The two applications that `bench_lease.py` serves under gunicorn, alike but for what they do with a request."""

import os
from pathlib import Path

import boto3
from botocore.config import Config
from flask import Flask, Response, jsonify

from broker.app import Stand, make_wsgi, open_broker
from broker.settings import load


def broker() -> Flask:
    """The broker of the demo's folder, under another address."""
    overlay = {"BROKER_SERVER__URL": os.environ["BENCH_URL"], "BROKER_AUDIT__STDOUT": "required"}
    overlay["BROKER_AWS__LEASES_PER_MINUTE"] = "100000"  # one person takes them all
    settings = load(Path(os.environ["BENCH_FOLDER"]) / "broker.yaml", overlay).settings
    return make_wsgi(open_broker(settings, Stand(sts_endpoint=os.environ["BENCH_STS"])))


def bare() -> Flask:
    """A view that calls `assume_role` and nothing else: no session, no directory, no decision, no record."""
    app = Flask("bare")
    sts = boto3.client(
        "sts", region_name="eu-central-1", endpoint_url=os.environ["BENCH_STS"], config=Config(max_pool_connections=32)
    )

    @app.post("/api/v1/credentials")
    def credentials() -> Response:
        return jsonify(sts.assume_role(**asked())["Credentials"])

    return app


def asked() -> dict[str, object]:
    """The same request to STS as the broker makes for ada."""
    keys = ("lease", "person", "provider", "mapping", "mfa", "mfa-at")
    return {
        "RoleArn": "arn:aws:iam::210987654321:role/federated/PowerUser",
        "RoleSessionName": "ada",
        "SourceIdentity": "ada",
        "DurationSeconds": 3600,
        "Tags": [{"Key": f"broker:{key}", "Value": "0123456789abcdef"} for key in keys],
    }
