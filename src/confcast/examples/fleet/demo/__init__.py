"""Three hosts on Redis or Valkey behind a gateway, under load: a rollout that succeeds, one that stops, an outage."""
