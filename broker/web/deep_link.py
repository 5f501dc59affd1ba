"""Links into the broker that survive a sign-in: whoever opens one signs in first, and is then where they wanted to be.

Before the password nothing is kept of anybody, so the link travels with the sign-in page (`next`); after it, it is a
note of the session. Only our own paths are ever gone to, and only by GET, which issues nothing here.
"""

from http import HTTPStatus
from urllib.parse import quote

from flask import current_app, g, redirect, request, session
from werkzeug.wrappers import Response

from broker.sessions.session import Session
from broker.web.cookie import GO_ON

NEXT = "next"
"""The field of the sign-in page that says where to go on."""
LONGEST = 3000
"""Characters of a link that is carried, as it stands in a query: a request's first line has room for 4094."""
NO_PAGES = ("/api/", "/static/", "/oauth/token", "/oauth/revoke")


def own_path(path: str) -> str:
    """`path` if it is a path of ours, else the home page: no scheme, no host, no backslash, no control character."""
    if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():  # check: own-path
        return "/"
    return path


def wanted() -> str:
    """The page that the request asks for, or that the form it sends stands on; the home page where there is none."""
    path = quote(request.path, safe="/:")
    if request.query_string:
        path += "?" + request.query_string.decode("latin-1")
    if request.path.startswith(NO_PAGES) or len(_in_a_query(path)) > LONGEST:
        return "/"
    adapter = current_app.create_url_adapter(request)
    return own_path(path) if adapter is not None and adapter.test(method="GET") else "/"


def carried() -> str:
    """The link that came with the sign-in page, in its query or its form; the home page where there is none."""
    path = own_path(request.form.get(NEXT) or request.args.get(NEXT) or "/")
    return path if len(_in_a_query(path)) <= LONGEST else "/"


def sign_in_url(path: str) -> str:
    """The sign-in page that goes on to `path`."""
    return "/sign-in" if path == "/" else f"/sign-in?{NEXT}={_in_a_query(path)}"


def keep(path: str) -> None:
    """Go there once the sign-in that is under way is complete; the home page is where it leads anyhow."""
    if path != "/":
        session[GO_ON] = path


def lead_in(current: Session | None) -> Response | None:
    """Where a page leads whoever may not see it yet; None where no page was asked for.

    The error page that is then told has the same way in.
    """
    path = wanted()
    g.way_in = sign_in_url(path)
    if request.method not in {"GET", "HEAD"} or request.path.startswith(NO_PAGES):
        return None
    if current is None or current.identity is None:
        return redirect(g.way_in, HTTPStatus.SEE_OTHER)
    keep(path)
    return redirect("/go-on", HTTPStatus.SEE_OTHER)


def _in_a_query(path: str) -> str:
    return quote(path, safe="/?=:")
