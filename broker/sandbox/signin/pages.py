"""The pages of the sandbox's sign-in and console. Whole in themselves, and unlike AWS's: nobody shall mix them up."""

from datetime import datetime
from html import escape

from broker.sandbox.sts import Session

_STYLE = """
:root{color-scheme:light dark;--line:#8886;--soft:#6b7280;--mark:#b45309}
@media (prefers-color-scheme:dark){:root{--soft:#9ca3af;--mark:#fbbf24}}
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:Canvas;color:CanvasText}
header{border-bottom:1px solid var(--line);padding:.75rem 1.25rem;display:flex;gap:.75rem;flex-wrap:wrap}
header span{color:var(--mark)}
main{max-width:44rem;margin:2rem auto;padding:0 1.25rem}h1{font-size:1.5rem;margin:0 0 1rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.5rem 1.5rem;margin:0}dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}p{margin:1rem 0}a{color:inherit}
@media (max-width:30rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.75rem}}
"""


def console(session: Session, ends_at: datetime, service: str, region: str, *, sign_out: str) -> str:
    """The console of a signed-in session."""
    caller = session.caller
    facts = {
        "Account": caller.account,
        "Role": caller.principal_arn.partition(":role/")[2] or caller.arn.rpartition(":")[2],
        "Session name": caller.arn.rpartition("/")[2],
        "Source identity": caller.source_identity or "none",
        "Region": region or "as last time",
        "Session ends": f"{ends_at:%Y-%m-%d %H:%M:%S} UTC",
        **{f"Tag {key}": value for key, value in sorted(caller.tags.items())},
    }
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    out = f'<p><a href="{escape(sign_out)}">Sign out of the console</a></p>'
    return _page(f"Console: {'home' if service == 'console' else service}", f"<dl>{rows}</dl>{out}")


def error(status: int, text: str, issuer: str = "") -> str:
    """The error page, with the way back where the request named one."""
    return _page(f"{status}: not signed in", f"<p>{escape(text)}</p>{_back(issuer)}")


def ended(issuer: str) -> str:
    """The console of a session that is over."""
    return _page("Your console session has ended", f"<p>Sign in again to go on.</p>{_back(issuer)}")


def nobody() -> str:
    """The console without a session."""
    return _page("Nobody is signed in to the console", "<p>Come through the broker.</p>")


def signed_out() -> str:
    """After a log-out."""
    return _page("Signed out of the console", "<p>You can close this page.</p>")


def _back(issuer: str) -> str:
    if not issuer.startswith(("https://", "http://")):
        return ""
    return f'<p><a href="{escape(issuer)}">Go back to {escape(issuer)}</a></p>'


def _page(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><header><strong>Sandbox console</strong>"
        f"<span>This is not AWS</span></header><main><h1>{escape(title)}</h1>{content}</main></body></html>"
    )
