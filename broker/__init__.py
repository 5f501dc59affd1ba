"""A federated identity broker for AWS.

One request, one corridor; the folders say it in order:

authenticate  WHO IS IT?      a directory, an IdP or a workload credential     -> Identity
challenge     PROVE IT        a second factor                                  -> Proof
entitle       WHICH ROLES?    the role mapping: pure, default deny             -> Entitlement
evaluate      NOW, FROM HERE? conditions: MFA, address, hours, TLS             -> Permit | Refusal | StepUp
issue         HAND OUT        STS credentials                                  -> Lease
record        WRITE IT DOWN   the audit trail

`flow/` is the corridor itself; `app/` is the only file that knows every implementation. Imports point leftwards
only, along: clock duration errors keys - the six stages in order - sessions - flow - web - settings - app - cli.
`storage` implements the stages' store protocols; `sandbox` holds the neighbours on one laptop; `workstation` is the
program on the caller's machine and imports nothing of the server. CONTRIBUTING.md says where a new thing goes.
"""
