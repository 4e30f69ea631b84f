"""Metrics of one owner's whole roster, for Prometheus; needs the extra `metrics`."""
