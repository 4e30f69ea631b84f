"""Example programs: each is a small real service, and its docstring is a recipe.

`leindex`: a search service under gunicorn, with a demonstration (`python -m confcast.examples.leindex.demo`).
`mcp_server`: an MCP server whose tools follow the configuration (`python -m confcast.examples.mcp_server`).
`queue_consumer`: processes that take their work from a queue, and the recipe for pools
(`python -m confcast.examples.queue_consumer`). `settings_page`: a shop whose settings are changed on a page of its own
(`python -m confcast.examples.settings_page`). `tenant_proxy`: a proxy for several upstreams, with keys and limits for
each tenant (`python -m confcast.examples.tenant_proxy`). `frameworks`: one small application each for Flask, Django,
FastAPI and Starlette. `recipes`: a log level and a database pool that follow the configuration, and a source of an
application's own. `deploy`: a Kubernetes Deployment and a systemd service.
"""
