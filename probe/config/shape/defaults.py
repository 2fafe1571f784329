"""The model's own defaults: what holds where the file says nothing. They stand nowhere else."""

from __future__ import annotations

from typing import Final

from probe.model.auth import BearerAuth, CookieAuth, JsonLoginAuth, JwtKey
from probe.model.flow import ApiCheck, Capture, Command, RequestTemplate, Step
from probe.model.secret import SecretRef
from probe.model.spec import DnsOptions, HttpSource, Share, TargetList, TlsCheck

API: Final = ApiCheck("", ())
BEARER: Final = BearerAuth()
CAPTURE: Final = Capture("", "json", "")
COMMAND: Final = Command(())
COOKIE: Final = CookieAuth("", "")
DNS: Final = DnsOptions()
HTTP_SOURCE: Final = HttpSource("")
JSON_LOGIN: Final = JsonLoginAuth("", None, "")
JWT_KEY: Final = JwtKey(SecretRef("env", ""))
REQUEST: Final = RequestTemplate("", "")
SHARE: Final = Share("")
STEP: Final = Step("", "", REQUEST)
TARGET_LIST: Final = TargetList("")
TLS: Final = TlsCheck("", "", ())
PROFILE: Final = TLS.profiles[0]
