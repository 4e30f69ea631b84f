"""One small application for each web framework, all with the same configuration.

The docstrings of `flask_app.py`, `django_app.py`, `fastapi_app.py` and `starlette_app.py` say how each is started, what
a request sees, and what looks right in that framework and is wrong. They share what every application has:

1. `settings.py`: the schema, and the replica that the views read.
2. `sources.py`: the loader.
3. `gunicorn_conf.py`: one line for gunicorn. The uvicorn launcher is given the name of the loader instead.

    cp src/confcast/examples/frameworks/app.toml .
    gunicorn -c python:confcast.examples.frameworks.gunicorn_conf confcast.examples.frameworks.flask_app:app

The applications do not pin: confcast's module for the server pins each request around the whole application, from its
first middleware to the last byte of its body. Under a server without a module in confcast, one line does so:
`app = confcast.middleware.wsgi.Pin(app, settings)`, or `asgi.Pin`; and `settings.attach()` where the worker starts.

A unit test needs no owner and no process: it uses the framework's own test client inside
`with settings.override(Settings(greeting="hi")) as fake:`, and `fake.push(…)` for a change.
"""
