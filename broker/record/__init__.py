"""WRITE IT DOWN: the audit trail that cannot be altered unseen.

Owns: the event and its tags (`event`), its canonical text (`canonical`, `redaction`), the chain of hashes and
signatures (`trail`, `chain`), the one way in (`writer`), the lines on standard output (`anchor`), verification
(`verify`, `finding`), export (`export`), and time-ordered ids (`ids`).
Does not own: the decision what is recorded (`flow` does that; stages never record), the tables (`storage/`, by
`trail.TrailStore`), or the audit key (`keys`).
"""
