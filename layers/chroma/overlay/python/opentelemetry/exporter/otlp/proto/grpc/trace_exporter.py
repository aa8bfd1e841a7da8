"""What chromadb imports of OpenTelemetry's exporter at every start, and makes only where it is told to send traces.

The real one brings gRPC and protobuf, of which a local client uses nothing else: an eighth of all that importing
chromadb takes, and 22 MB.
"""

from __future__ import annotations


class OTLPSpanExporter:
    """Refuses to be made, and says why."""

    def __init__(self, **_: object) -> None:
        """Raise, as nothing can be sent."""
        raise RuntimeError(
            "this layer has no exporter of traces: leave chroma_otel_collection_endpoint empty, or ship "
            "opentelemetry-exporter-otlp-proto-grpc instead of the overlay's"
        )
