"""`python -m broker` is the operator's program."""

from broker.cli import main

main()
