"""The guide's pictures of the admin page: a made-up shop, in a real Chromium, with a real owner behind it."""
