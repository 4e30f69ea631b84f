"""One configuration on several hosts: gunicorn on each, behind a gateway to Redis or Valkey.

`python -m confcast.examples.fleet.demo` runs three of them on this machine, under load.
"""
