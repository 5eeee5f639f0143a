"""`predictkpi serve`, `predictkpi version` and `predictkpi openapi`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from predictkpi.settings import Settings

HUNG_SECONDS = 30
"""A process that does not even say that it lives is replaced after so long; one call of a library may hold everything else up for some."""
GRACE_SECONDS = 30
"""What is being answered when the service is stopped may take so long."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default from the settings (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default from the settings (8000).")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that answer; default from the settings (1).")] = None,
) -> None:
    """Serve the dashboard and the HTTP API.

    The dashboard is at /, the API's description at /docs. Predictions come from the registry's champions. Other machines are answered
    only with API keys: see [bold]predictkpi keys[/bold].

    Example: [bold]predictkpi serve --port 9000 --workers 2[/bold]
    """
    from predictkpi.settings import read_settings

    given: dict[str, Any] = {name: value for name, value in (("host", host), ("port", port), ("workers", workers)) if value is not None}
    run_server(read_settings(**given))


def run_server(settings: Settings) -> None:
    """Serve until interrupted; raises `SettingsError` for an address that others reach while there is no key."""
    import os
    import secrets
    import tempfile

    import uvicorn

    from predictkpi.cli.render import remarks
    from predictkpi.service.app import create_app
    from predictkpi.service.logs import set_up
    from predictkpi.service.metrics import FOLDER

    _check_access(settings)
    _check_port(settings)
    set_up(settings.log_format, settings.log_level)
    remarks().print(f"dashboard: http://{settings.host}:{settings.port}/   API: http://{settings.host}:{settings.port}/docs   stop: Ctrl-C")
    remarks().print("warming up: predictions follow in some seconds; /health/ready says when")
    given: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": GRACE_SECONDS,
        "timeout_worker_healthcheck": HUNG_SECONDS,
    }
    if settings.workers == 1:
        uvicorn.run(create_app(settings), **given)
        return
    with tempfile.TemporaryDirectory(prefix="predictkpi-metrics-") as folder:
        # What the processes have in common, given to them as everything else is: by the environment.
        os.environ[FOLDER] = folder
        if settings.session_secret is None:
            os.environ["PREDICTKPI_SESSION_SECRET"] = secrets.token_urlsafe(32)
        os.environ |= {f"PREDICTKPI_{name.upper()}": str(getattr(settings, name)) for name in ("host", "port", "workers")}
        uvicorn.run("predictkpi.service.app:app_of_environment", factory=True, workers=settings.workers, **given)


def _check_access(settings: Settings) -> None:
    """Whoever serves others needs keys, or an identity provider."""
    from predictkpi.cli.render import remarks
    from predictkpi.errors import SettingsError, StoreError
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.service.access.keyring import is_loopback, utc_now

    try:
        keys = open_store(settings).keys.all()
    except StoreError as error:
        remarks().print(f"[yellow]the store is away: nobody is answered until it is back[/] ({error})")
        return
    has_key = any(key.state(utc_now()) == "active" for key in keys)
    if is_loopback(settings.host):
        if not keys and settings.oidc_issuer is None:
            remarks().print("open to everybody on this machine: there are no API keys")
    elif not has_key and settings.oidc_issuer is None:
        raise SettingsError(
            f"{settings.host} can be reached by other machines, and no API key holds: make one with `predictkpi keys create "
            "<name> --role admin`, name an identity provider in PREDICTKPI_OIDC_ISSUER, or serve on 127.0.0.1"
        )


def _check_port(settings: Settings) -> None:
    import socket

    from predictkpi.errors import SettingsError

    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror}); try --port {settings.port + 1}"
            ) from error


def version() -> None:
    """Print the version."""
    from predictkpi import __version__

    typer.echo(__version__)


def openapi() -> None:
    """Print the description of the HTTP API as an OpenAPI document; a running service has it at /openapi.json.

    Example: [bold]predictkpi openapi > openapi.json[/bold]
    """
    import json

    from predictkpi.service.app import create_app
    from predictkpi.settings import read_settings

    print(json.dumps(create_app(read_settings()).openapi(), indent=1, ensure_ascii=False))
