"""`predictkpi serve` and `predictkpi version`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from predictkpi.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default from the settings (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default from the settings (8000).")] = None,
) -> None:
    """Serve the dashboard and the HTTP API.

    The dashboard is at /, the API's description at /docs. Predictions come from the registry's champions.

    Example: [bold]predictkpi serve --port 9000[/bold]
    """
    from predictkpi.settings import read_settings

    given: dict[str, Any] = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    run_server(read_settings(**given))


def run_server(settings: Settings) -> None:
    """Serve until interrupted."""
    import socket

    import uvicorn

    from predictkpi.cli.render import remarks
    from predictkpi.errors import SettingsError
    from predictkpi.service.app import create_app

    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror}); try --port {settings.port + 1}"
            ) from error

    remarks().print(f"dashboard: http://{settings.host}:{settings.port}/   API: http://{settings.host}:{settings.port}/docs   stop: Ctrl-C")
    remarks().print("warming up: predictions follow in some seconds; /health/ready says when")
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_level="warning")


def version() -> None:
    """Print the version."""
    from predictkpi import __version__

    typer.echo(__version__)
