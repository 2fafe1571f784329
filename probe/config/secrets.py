"""References to secrets, turned into the secrets: read when needed, again when changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from probe.documents.files import Stamp, read_regular
from probe.model.secret import Secret, SecretError, SecretRef

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""Where systemd puts a service's credentials (systemd.exec(5), LoadCredential=)."""

_MOST_BYTES = 64 * 1024


class SecretReader:
    """Reads secrets; keeps those from files until the file changes.

    Reading blocks for as long as the file system does: secrets are small files or variables.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._kept: dict[str, tuple[Stamp, Secret]] = {}

    def read(self, reference: SecretRef) -> Secret:
        """The secret that a reference leads to, without line ends behind it.

        Raises:
            SecretError: missing, unreadable, empty or no text; names the reference only.
        """
        match reference.kind:
            case "env":
                return _secret(reference, self._environ.get(reference.name))
            case "file":
                return self._file(reference, reference.name)
            case "credential":
                folder = self._environ.get(CREDENTIALS_DIRECTORY)
                if not folder:
                    raise _error(reference, f"{CREDENTIALS_DIRECTORY} is not set")
                return self._file(reference, os.path.join(folder, reference.name))  # noqa: PTH118 - a name, checked

    def _file(self, reference: SecretRef, path: str) -> Secret:
        try:
            kept = self._kept.get(path)
            if kept is not None and kept[0] == Stamp.of(os.stat(path)):  # noqa: PTH116 - one call
                return kept[1]
            seen, data = read_regular(Path(path), _MOST_BYTES)
        except FileNotFoundError:
            problem = "there is no such file"
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            problem = getattr(error, "strerror", None) or "it cannot be read"
        else:
            if len(data) > _MOST_BYTES:
                raise _error(reference, f"it is larger than {_MOST_BYTES // 1024} KiB")
            secret = _secret(reference, _text(data))
            self._kept[path] = (seen, secret)
            return secret
        self._kept.pop(path, None)
        raise _error(reference, problem)


def _text(data: bytes) -> str | None:
    """The text of a secret; None when it is none.

    The decoder's error holds the bytes, so it must not become the context of another.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _secret(reference: SecretRef, text: str | None) -> Secret:
    if text is not None and any("\ud800" <= c <= "\udfff" for c in text):
        raise _error(reference, "it is not UTF-8 text")  # as Python shows a variable's bytes
    if text is None:
        missing = "the variable is not set" if reference.kind == "env" else "it is not UTF-8 text"
        raise _error(reference, missing)
    value = text.rstrip("\r\n")
    if not value.strip():
        raise _error(reference, "it is empty")
    return Secret(value)


def _error(reference: SecretRef, why: str) -> SecretError:
    return SecretError(f"secret {reference}: {why}")
