"""`broker serve` behind its preflight, with another STS: `python -m journeys.serve BROKER_YAML STS_URL`."""

import sys
from pathlib import Path

from broker.app import Stand
from broker.cli.serve import Server
from broker.settings import load

if __name__ == "__main__":
    file, sts_url = sys.argv[1:]
    Server(load(Path(file)), Stand(sts_endpoint=sts_url)).run()
