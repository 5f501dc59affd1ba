"""HTTP in, HTTP out: pages, the API, health. Decides nothing.

Owns: routes and their audiences, cookies, CSRF, headers, the client's address behind declared proxies, and the table
that turns an error into a status. Does not own: any decision; those are made in `flow` and the stages.
`app/` puts the parts together with `wsgi.make_app`.
"""
