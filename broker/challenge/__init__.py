"""PROVE IT: a second factor turns an `Identity` into a `Proof`.

Owns: the factors (one file each), enrolment, recovery codes, and the protocols of the stores that they need.
Does not own: who somebody is (`authenticate/`), how fresh a factor must be for a role (`evaluate/mfa.py`).
"""
