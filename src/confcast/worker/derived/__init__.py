"""What an application builds of its configuration, and what is swapped and closed together with it."""
