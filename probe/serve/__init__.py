"""Result store, metrics, HTTP server, status page."""

from probe.serve.http.listen import ListenError, serve
from probe.serve.http.metrics import swept, walked
from probe.serve.http.web import application
from probe.serve.memory.store import Store
from probe.serve.records import CertificatesKey, CertificateSplit, LeafRecord

__all__ = [
    "CertificateSplit",
    "CertificatesKey",
    "LeafRecord",
    "ListenError",
    "Store",
    "application",
    "serve",
    "swept",
    "walked",
]
