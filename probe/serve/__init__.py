"""Result store, metrics, HTTP server, status page."""

from probe.serve.exposition import swept
from probe.serve.listen import ListenError, serve
from probe.serve.split import CertificatesKey, CertificateSplit
from probe.serve.store import Store
from probe.serve.web import application

__all__ = [
    "CertificateSplit",
    "CertificatesKey",
    "ListenError",
    "Store",
    "application",
    "serve",
    "swept",
]
