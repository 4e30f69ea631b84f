"""One file per format. Each has `parse(text)`, which is fast, and `locate(text)`, which is asked only when needed."""
