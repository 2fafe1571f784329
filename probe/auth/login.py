"""Logins that give a token or a cookie for JSON or form fields."""

from __future__ import annotations

from probe.auth.material import Material
from probe.auth.token import Token, issued, lasting, malformed, refused, seconds
from probe.http.answers import NotJson, as_text, condition, cookie, expression, parse_json
from probe.http.request import Request, form_body, json_body
from probe.http.response import Response
from probe.http.url import clean_url
from probe.model.auth import CookieAuth, JsonLogin
from probe.model.condition import holds, select
from probe.model.failure import Failure, Phase, Reason
from probe.model.secret import SecretRef
from probe.net.times import http_date


def json_login(spec: JsonLogin, material: Material) -> Request:
    """The login's request.

    Raises:
        SecretError: a secret is missing.
    """
    body, content_type = json_body(material.document(spec.json))
    headers = tuple(
        (k, material.read(v) if isinstance(v, SecretRef) else material.values.fill_header(v))
        for k, v in spec.headers.items()
    )
    url = clean_url(material.values.fill_url(spec.url))
    return Request("POST", url, (content_type, ("Accept", "application/json")), body).adding(
        *headers
    )


def json_token(spec: JsonLogin, answer: Response, now: float) -> Token | Failure:
    """The token that the login gave, or why there is none."""
    early = unwell(answer)
    if early is not None:
        return early
    try:
        document = parse_json(answer.body, answer.charset)
    except NotJson as error:
        return _status(answer) or malformed(f"answered {answer.status} with {error}")
    if spec.refused is not None and holds(condition(spec.refused), document):
        return refused(answer, now, f"answered {answer.status}: {spec.refused}")
    if spec.refused is None and answer.status == 401:
        return refused(answer, now, "answered 401")
    if not answer.ok:
        return _status(answer) or login_failed(f"answered {answer.status}")
    if spec.success is not None and not holds(condition(spec.success), document):
        return login_failed(f"answered {answer.status}, and {spec.success} does not hold")
    found = as_text(select(expression(spec.token), document))
    return issued(found, answer, now, expires_at=_expiry(spec, document, now))


def _expiry(spec: JsonLogin, document: object, now: float) -> float | None:
    if spec.expires_at is not None:
        return lasting(select(expression(spec.expires_at), document))
    if spec.expires_in is not None:
        life = lasting(select(expression(spec.expires_in), document))
        return None if life is None else now + life
    return None


def cookie_login(spec: CookieAuth, material: Material) -> Request:
    """The login's request.

    Raises:
        SecretError: a secret is missing.
    """
    if spec.form is not None:
        fields = {name: material.text(value) for name, value in spec.form.items()}
        body, content_type = form_body(fields)
    else:
        body, content_type = json_body(material.document(spec.json))
    return Request("POST", clean_url(material.values.fill_url(spec.url)), (content_type,), body)


def cookie_token(spec: CookieAuth, answer: Response, now: float) -> Token | Failure:
    """The cookie that the login set, or why there is none."""
    early = unwell(answer)
    if early is not None:
        return early
    if answer.status in {401, 403}:
        return refused(answer, now, f"answered {answer.status}")
    if not answer.ok and not 300 <= answer.status < 400:  # a form's login often redirects
        return login_failed(f"answered {answer.status}")
    value = cookie(answer, spec.cookie)
    if not value:
        return login_failed(f"answered {answer.status} and set no cookie {spec.cookie}")
    if any(character in value for character in ' ,;\\"'):
        return malformed("the cookie holds characters that none may hold (RFC 6265)")
    return issued(value, answer, now, expires_at=now + _cookie_life(spec, answer, now))


def _cookie_life(spec: CookieAuth, answer: Response, now: float) -> float:
    """Seconds that the cookie lasts: Max-Age beats Expires (RFC 6265 section 5.3)."""
    for line in answer.all("set-cookie"):
        pair, *attributes = line.split(";")
        if pair.partition("=")[0].strip() != spec.cookie:
            continue
        said = dict(_attribute(one) for one in attributes)
        life = seconds(said.get("max-age"))
        if life is None and "expires" in said:
            until = http_date(said["expires"])
            life = None if until is None else until - now
        return spec.max_age if life is None else life
    return spec.max_age


def _attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip()


def unwell(answer: Response) -> Failure | None:
    """What any token service may answer when it is not well: too many requests, or 5xx."""
    if answer.status == 429:
        return Failure(Phase.AUTH, Reason.RATE_LIMITED, "answered 429")
    if answer.status >= 500:
        return login_failed(f"answered {answer.status}")
    return None


def login_failed(detail: str) -> Failure:
    """The token service did not do its work."""
    return Failure(Phase.AUTH, Reason.LOGIN_FAILED, detail)


def _status(answer: Response) -> Failure | None:
    return None if answer.ok else login_failed(f"answered {answer.status}")
