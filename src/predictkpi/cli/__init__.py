"""The command line: one thin command a pipeline. Importing this costs nothing; each command imports what it needs when it runs."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run `predictkpi`: one clear message and exit code 1 for every error of ours or of the system; ``--debug`` shows the trace."""
    from predictkpi.cli.app import app, is_debugging
    from predictkpi.errors import PredictKpiError

    try:
        app(prog_name="predictkpi")
    except (PredictKpiError, OSError) as error:
        if is_debugging():
            raise
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True).print(Text("error: ", style="bold red") + Text(str(error), style="red"), soft_wrap=True)
        sys.exit(1)
