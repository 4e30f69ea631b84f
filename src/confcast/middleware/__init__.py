"""One request, one version: middlewares that pin each request's configuration, for servers without a module here."""
