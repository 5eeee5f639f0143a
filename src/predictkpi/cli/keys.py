"""`predictkpi keys`: who may use the service."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import Format, FormatOption

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

_ROLES = "viewer reads, manager also sets targets, crm sees deals and customers, scientist also promotes models, admin does all."
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class RoleName(StrEnum):
    """What a key is for; the roles of `core.access`, spelled out here so that --help need not load them."""

    VIEWER = "viewer"
    MANAGER = "manager"
    CRM = "crm"
    SCIENTIST = "scientist"
    ADMIN = "admin"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, for the audit log: salesforce, Dana Fields, grafana.")],
    role: Annotated[
        RoleName,
        typer.Option(help=_ROLES),
    ],
    team: Annotated[list[str] | None, typer.Option(help="Only deals of this team and their customers; may be repeated.")] = None,
    owner: Annotated[list[str] | None, typer.Option(help="Only deals that this rep owns and their customers; may be repeated.")] = None,
    expires_in: Annotated[str, typer.Option(help="90d, 12h, 4w, or never.")] = "365d",
    per_minute: Annotated[int | None, typer.Option(min=1, help="So many requests a minute at most; default: as many as there are.")] = None,
) -> None:
    """Make an API key and print it, this once: the store keeps only its hash.

    From the first key on, the service answers nobody without one.

    Example: [bold]predictkpi keys create salesforce --role crm --expires-in 90d[/bold]
    """
    from predictkpi.cli.render import remarks
    from predictkpi.core.access import AccessRole, RowScope
    from predictkpi.errors import SettingsError
    from predictkpi.pipelines.keys import make_key
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    if team and owner:
        raise SettingsError("name teams or owners, not both")
    rows = RowScope("team", frozenset(team)) if team else RowScope("owner", frozenset(owner)) if owner else None
    now, life = _utc_now(), _life(expires_in)
    expires_at = None if life is None else now + life
    store = open_store(read_settings())
    key, secret = make_key(store, name, AccessRole(role.value), now=now, rows=rows, per_minute=per_minute, expires_at=expires_at)
    typer.echo(secret)
    until = "never expires" if expires_at is None else f"expires {expires_at:%Y-%m-%d}"
    remarks().print(f"key {key.key_id} for {name}: {role.value}, {rows or 'all rows'}, {until}. Keep it now: it is not shown again.")


@app.command("list")
def list_(format_: FormatOption = Format.TABLE) -> None:
    """Show every key there ever was: whose, what it may do, and whether it still holds. Never the key itself."""
    import pandas as pd

    from predictkpi.cli.render import machine, out, remarks, table
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    now = _utc_now()
    names = ["key_id", "name", "role", "rows", "per_minute", "created_at", "expires_at", "state"]
    rows = [
        [key.key_id, key.name, key.role.value, str(key.rows or "all"), key.per_minute, key.created_at, key.expires_at, key.state(now)]
        for key in open_store(read_settings()).keys.all()
    ]
    if format_ is not Format.TABLE:
        machine(pd.DataFrame(rows, columns=names), format_)
    elif not rows:
        remarks().print("no key yet: the service answers this machine only. Make one with `predictkpi keys create`")
    else:
        shown = [
            ["" if value is None else f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value) for value in row]
            for row in rows
        ]
        out().print(table("API keys", [(name.replace("_", " "), "left") for name in names], shown))


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The first part of the key, as `predictkpi keys list` shows it.")]) -> None:
    """Take a key back: every running service refuses it within seconds.

    Example: [bold]predictkpi keys revoke pkpi_0a1b2c3d4e[/bold]
    """
    from predictkpi.cli.render import out
    from predictkpi.pipelines.keys import revoke_key
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    key = revoke_key(open_store(read_settings()), key_id, now=_utc_now())
    out().print(f"{key.key_id} of {key.name} opens nothing any more")


@app.command()
def accesses(
    subject: Annotated[str | None, typer.Option(help="Only of this deal or customer.")] = None,
    key: Annotated[str | None, typer.Option(help="Only with this key.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show who saw what: requests by day, key, route and what was asked for. Instants are UTC.

    Example: [bold]predictkpi keys accesses --subject C-0001[/bold]
    """
    from predictkpi.cli.render import machine, out, remarks, table
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    found = open_store(read_settings()).accesses.read(subject=subject, actor=key, limit=limit)
    if format_ is not Format.TABLE:
        machine(found, format_)
    elif not len(found):
        remarks().print("nothing yet: requests with a key will be here")
    else:
        rows = [
            [f"{row.last_at:%Y-%m-%d %H:%M}", row.actor, row.action, row.subject, str(row.status), str(row.times)]
            for row in found.itertuples()
        ]
        out().print(table("Access log", [(name, "left") for name in ("last", "key", "asked for", "of", "status", "times")], rows))


def _life(text: str) -> timedelta | None:
    """``90d`` as a span; None for ``never``."""
    from predictkpi.errors import SettingsError

    found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text)
    if text == "never":
        return None
    if found is None:
        raise SettingsError(f"--expires-in {text}: write hours, days or weeks such as 12h, 90d or 4w, or never")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _utc_now() -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp.now("UTC").tz_localize(None)
