"""Each server has a package that embeds a config owner in it. tests/shape/test_servers.py names missing table rows."""
