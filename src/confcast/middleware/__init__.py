"""Middlewares that pin the configuration of each request, for servers that have no package in confcast.servers."""
