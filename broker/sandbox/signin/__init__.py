"""A strict AWS Sign-In on loopback, beside the sandbox's STS: what AWS would refuse, it refuses, with an error page.

`SandboxSignIn(sts, clock=...)` signs in whoever has credentials of that STS. It has two origins, as AWS has: `url` with
the federation endpoint, and `console_url` with a console that shows who is signed in, where, and until when.

What it enforces (IAM User Guide, "Enable custom identity broker access to the AWS console"; what clients of the real
endpoint report is marked *seen*):

| enforced here                                                                   | in           | the rule          |
|---------------------------------------------------------------------------------|--------------|-------------------|
| GET and POST, both actions; anything else is a 400 page                         | `rules.py`   | guide; *seen*     |
| Session is a JSON object of sessionId, sessionKey, sessionToken                 | `rules.py`   | guide             |
| credentials are temporary (ASIA), known, whole, not expired; their role exists  | `rules.py`   | guide; *seen*     |
| credentials of GetSessionToken, and root's, do not sign in                      | `rules.py`   | guide, comparison |
| SessionDuration is 900 to 43200                                                 | `rules.py`   | guide             |
| SessionDuration only with credentials of AssumeRole by a long-term key: neither | `rules.py`   | guide; *seen*     |
| with a federated user's nor along a chain                                       |              |                   |
| the token is opaque, bound to the credentials, and valid for 15 minutes         | `service.py` | guide             |
| the answer is JSON with one member                                              | `service.py` | guide             |
| Destination is a console of the credentials' partition                          | `rules.py`   | guide             |
| a sign-in that is too late shows the Issuer's address; so does an ended console | `pages.py`   | guide             |

Stricter than AWS, on purpose: a parameter that nobody knows, one that is there twice, and another member in Session are
refused; SessionDuration is a multiple of 900 (AWS was seen to refuse odd numbers, not which). Less than AWS: nothing
can be done in the console; a token may be used until it ends, as nothing says that AWS takes it once.
"""

from broker.sandbox.signin.server import SandboxSignIn
from broker.sandbox.signin.service import ConsoleLogin

__all__ = ["ConsoleLogin", "SandboxSignIn"]
