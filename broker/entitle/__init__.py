"""WHICH ROLES? The role-mapping document turns groups into entitlements: pure, default deny, explicit deny wins.

Owns: reading and checking the document, its immutable snapshot and revision, `resolve()` and its trace.
Does not own: what a condition means (`evaluate/` brings the vocabulary in as an argument), who administers the broker
(`broker.yaml`), or where a compiled snapshot is kept (`storage/`).

The way of a document: `source` (YAML, strictly) -> `shape` (keys and types) -> `check` (do the names fit together) ->
`document` -> `canonical` (one spelling; its hash is the revision) -> `snapshot`. The way of a question: groups ->
`index` -> `resolve`; `trace` answers the same question the slow way and says why.
"""
