"""The neighbours on one laptop, on real loopback sockets: an AD-like directory and a strict STS.

`broker demo` and the fast tests run on them. Loopback only, bounded, never part of a real deployment: only `cli/`
(for `demo`) and the tests import this package, and it imports nothing of the broker but the floor.
"""
