"""From a step's request as configured to a request as sent: pure."""

from __future__ import annotations

from probe.auth.material import Material
from probe.http.request import Request, form_body, json_body
from probe.http.url import clean_url
from probe.model.flow import RequestTemplate


def render(request: RequestTemplate, material: Material) -> Request:
    """Fill a step's request in.

    Raises:
        SecretError: a secret is missing.
        Missing: a template names a value that is not there.
        Unsafe: a value must not be sent where the template puts it.
        BadUrl: the result is no URL that may be called.
    """
    values = material.values
    headers = [(name, values.fill_header(value)) for name, value in request.headers.items()]
    query = {name: values.fill(value) for name, value in request.query.items()}
    body = b""
    content: tuple[str, str] | None = None
    if request.json is not None:
        body, content = json_body(material.document(request.json))
    elif request.form is not None:
        body, content = form_body({k: material.text(v) for k, v in request.form.items()})
    elif request.body is not None:
        body = values.fill(request.body).encode()
    if content is not None and all(name.lower() != "content-type" for name, _ in headers):
        headers.insert(0, content)
    return Request(
        request.method.upper(), clean_url(values.fill_url(request.url), query), tuple(headers), body
    )
