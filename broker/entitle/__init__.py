"""WHICH ROLES? The role-mapping document turns groups into entitlements: pure, default deny, explicit deny wins.

Owns: reading and checking the document, its immutable snapshot and revision, `resolve()` and its trace.
Does not own: what a condition means (`evaluate/` brings the vocabulary in as an argument), who administers the broker
(`broker.yaml`), or where a compiled snapshot is kept (`storage/`).
"""
