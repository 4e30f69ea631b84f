"""The watcher reports that the sources' content may have changed; a load then reads the sources."""
