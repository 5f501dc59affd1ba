"""The `aws-broker` program on the caller's machine: standard library only, nothing of the server."""
