"""One package per server: it embeds a config owner in the server, and makes the server's HUP a reload.

A new server is its package and one line in each table; tests/shape/test_servers.py names the tables that lack it.
"""
