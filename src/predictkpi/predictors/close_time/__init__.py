"""When will each deal close, and will it be won."""
