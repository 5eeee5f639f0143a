"""One verb a file: read, call, write. The clock is read here, and nowhere below."""
