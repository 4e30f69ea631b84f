"""One small application for each web framework, all with the same configuration.

`flask_app.py`, `django_app.py`, `fastapi_app.py`, `starlette_app.py`: each opens with how it is started, what a request
sees, and what is wrong in that framework though it looks right. What they share is what every application has:

1. `settings.py`: the schema, and the replica that the views read.
2. `sources.py`: the loader.
3. `gunicorn_conf.py`: one line for gunicorn. The uvicorn launcher takes the loader by name instead.

    cp src/confcast/examples/frameworks/app.toml .
    gunicorn -c python:confcast.examples.frameworks.gunicorn_conf confcast.examples.frameworks.flask_app:app

Nothing in the applications pins: the server's side of confcast pins each request around the whole application, from
its first middleware to the last byte of its body. Under a server that confcast has no module for, one line does it:
`app = confcast.middleware.wsgi.Pin(app, settings)`, or `asgi.Pin`; and `settings.attach()` where the worker starts.

In a unit test no owner and no process is needed: the framework's own test client inside
`with settings.override(Settings(greeting="hi")) as fake:`, and `fake.push(…)` for a change.
"""
