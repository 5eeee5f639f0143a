"""One `Settings`: from the environment (``PREDICTKPI_*``) and ``predictkpi.toml`` in the working directory, environment first."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from predictkpi.errors import SettingsError

FOR_TESTS = {"PREDICTKPI_REAL_DATA", "PREDICTKPI_CHROMIUM", "PREDICTKPI_KILLS", "PREDICTKPI_EXAMPLES"}
"""Variables that are read by the tests and scripts, not by the service."""
_PASSWORD = re.compile(r"(://[^/@:]*:)[^/]*@")


class Settings(BaseSettings):
    """Where things are and how the service listens. Hyperparameters are in models/*.yaml, never here."""

    model_config = SettingsConfigDict(env_prefix="PREDICTKPI_", toml_file="predictkpi.toml", extra="forbid")

    database_url: str = Field("sqlite:///var/predictkpi.db", description="SQLAlchemy URL of the store")
    tracking_uri: str = Field(
        "sqlite:///mlflow/tracking.db",
        description="MLflow tracking and registry; MLFLOW_TRACKING_URI wins when set",
        validation_alias="MLFLOW_TRACKING_URI",
    )
    artifact_root: Path = Field(Path("mlflow/artifacts"), description="artifacts of the local tracking store; a server has its own")
    models_dir: Path = Field(Path("models"), description="folder of <predictor>.yaml hyperparameters and evaluation.yaml")
    host: str = Field("127.0.0.1", description="address the service listens on")
    port: int = Field(8000, ge=1, le=65535, description="port the service listens on")
    workers: int = Field(1, ge=1, le=64, description="processes that answer; each holds data and champions in memory")
    log_format: Literal["text", "json"] = Field("text", description="of the service's log on standard error: for people or for machines")
    log_level: Literal["debug", "info", "warning", "error"] = Field("warning", description="info also writes one line a request")
    most_at_once: int = Field(200, ge=1, description="requests a process answers at once; more are refused with 503 and Retry-After")
    max_body_bytes: int = Field(32_000_000, ge=1_000, description="largest body of deals line by line; any other may have 12 MB at most")
    request_seconds: float = Field(30.0, gt=0, description="an answer that takes longer is given up with 503")
    session_secret: SecretStr | None = Field(None, description="signs the dashboard's sessions; where several machines serve, set the same")
    oidc_issuer: str | None = Field(None, description="identity provider whose bearer tokens are taken beside API keys (OpenID Connect)")
    oidc_audience: str | None = Field(None, description="who its tokens must be for: this service's name there")
    oidc_roles_claim: str = Field("roles", description="claim of its tokens that names viewer, manager, crm, scientist or admin")
    spark_master: str = Field(
        "local[*]", description="where `--engine spark` runs: a master (spark://host:7077) or a Connect address (sc://host)"
    )
    spark_facts: str | None = Field(
        None, description="where Spark reads facts: parquet:FOLDER, delta:FOLDER or jdbc:URL; exported to it if empty"
    )
    spark_user: str | None = Field(None, description="user of the database that Spark reads by JDBC")
    spark_password: SecretStr | None = Field(None, description="and the password")
    webhook_url: SecretStr | None = Field(None, description="where events are sent; kept secret, since some receivers have a token in it")
    webhook_secret: SecretStr | None = Field(None, description="signs what is sent there: whsec_ and 24 to 64 random bytes in base64")
    webhook_secret_previous: SecretStr | None = Field(None, description="signs too, while a receiver still knows this secret only")

    @model_validator(mode="after")
    def _knows_for_whom_tokens_are(self) -> Self:
        if self.oidc_issuer is not None and not self.oidc_audience:
            raise ValueError("oidc_issuer needs oidc_audience: the name under which the identity provider knows this service")
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        """As pydantic shows a model, but for the passwords in URLs."""
        return ((name, _PASSWORD.sub(r"\1***@", value) if isinstance(value, str) else value) for name, value in super().__repr_args__())

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the TOML file."""
        return (named["init_settings"], named["env_settings"], TomlConfigSettingsSource(settings_cls))


def read_settings(**overrides: object) -> Settings:
    """Settings in force; raises `SettingsError` naming the field and the value, also for a misspelt ``PREDICTKPI_*`` variable."""
    known = {f"PREDICTKPI_{name.upper()}" for name in Settings.model_fields} | FOR_TESTS
    misspelt = sorted(name for name in os.environ if name.startswith("PREDICTKPI_") and name not in known)
    if misspelt:
        raise SettingsError(f"no such setting: {', '.join(misspelt)}; there are: {', '.join(sorted(known - FOR_TESTS))}")
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        # An error of several settings together has no place, and its input is all of them, secrets included.
        lines = [f"{'.'.join(map(str, e['loc']))}={_shown(e)!r}: {e['msg']}" if e["loc"] else e["msg"] for e in error.errors()]
        raise SettingsError("settings: " + "; ".join(lines)) from error


def _shown(error: ErrorDetails) -> object:
    """The value that is wrong, unless it is a secret."""
    return "***" if str(error["loc"][0]).startswith(("webhook", "session_secret", "spark_password")) else error.get("input")
