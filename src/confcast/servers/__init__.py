"""One package per server embeds a config owner in it. tests/shape/test_servers.py names the tables that lack one."""
