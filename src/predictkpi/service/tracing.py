"""A span for every request, sent where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says (OpenTelemetry); nothing where it is not set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from predictkpi import __version__
from predictkpi.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def tracer() -> Tracer | None:
    """Makes the spans; None where nobody wants them. Raises `SettingsError` without the extra ``tracing``."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(f"{ENDPOINTS[0]} needs the extra tracing: pip install 'predictkpi[tracing]'") from error
    # The standard variables (OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_HEADERS, ...) hold as everywhere.
    provider = TracerProvider(resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "predictkpi")}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("predictkpi", __version__)
