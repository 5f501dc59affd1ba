"""WRITE IT DOWN: the audit trail that cannot be altered unseen.

Owns: the event, its tags, the hash chain and its signed heads, verification, search and export.
Does not own: the decision what is recorded (`flow` does that; stages never record), or the tables (`storage/`).
"""
