"""Programs that a reader can run: each is a small real service, and each docstring is a recipe.

`leindex`: a search service under gunicorn, with its own demonstration (`python -m confcast.examples.leindex.demo`).
`queue_consumer`: processes that take their work from a queue, and the recipe for pools
(`python -m confcast.examples.queue_consumer`).
`frameworks`: one small application each for Flask, Django, FastAPI and Starlette.
`recipes`: the log level, and a database pool, that follow the configuration; and a source of one's own.
`deploy`: a Kubernetes Deployment and a systemd service.
"""
