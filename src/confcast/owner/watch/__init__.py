"""The watcher reports that the sources' content may have changed; a load then reads what is true."""
