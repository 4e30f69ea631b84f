"""A proxy for several upstreams, with keys and limits for each tenant, whose configuration changes under load.

    pip install 'confcast[examples]'
    python -m confcast.examples.tenant_proxy        # upstreams to try it with, two workers, and what to type

A request `GET /text/hello` with `Authorization: Bearer KEY` goes to `/hello` of the upstream `text`, if the key is one
of a tenant's that may use it. Nobody is cut off by a change: a request ends on the version that it began with, on the
connections of that version.

The recipe, in reading order:

1. `schema.py`: upstreams and tenants; a key is a secret by its type, and two of a tenant are valid at once.
2. `guards.py` and `sources.py`: the file, its references to files of secrets, and what a person has to allow.
3. `settings.py` and `keys.py`: whose a key is, which is whom a trial by entity counts by, too.
4. `upstreams.py`: a client for each upstream, which a version shares with the one before unless its part has changed;
   and the health check of those that are new.
5. `limits.py`: counters that outlive versions, limits that do not.
6. `headers.py` and `forwarding.py`: what passes, what stays here, what becomes of an upstream's failure.
7. `app.py`: the ASGI application, without a framework. `__main__.py` and `demo/` start it all.

The clients are aiohttp's: it is an extra of confcast already, gives a body as it came (compressed, in the pieces of the
upstream) and headers as bytes. This package imports nothing: the config owner must not pay for aiohttp.
"""
