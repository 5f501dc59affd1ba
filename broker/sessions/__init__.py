"""STILL SIGNED IN? People, and their browser sessions (later also the CLI's grants, and API tokens).

Owns: `Person` (our own id, the subjects that point to it, the session name in AWS) and `Session` with its limits.
Does not own: cookies (`web/`), what a session may do (`entitle/`, `evaluate/`), or tables (`storage/`).
"""
