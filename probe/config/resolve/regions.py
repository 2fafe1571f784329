"""The section ``regions``: URLs that credentials may go to, and files that are there."""

from __future__ import annotations

from urllib.parse import urlsplit

from probe.config.resolve.file import ConfigFile
from probe.config.resolve.requests import Cargo, url_problem
from probe.config.resolve.targets import client_certificate, trust
from probe.config.shape.regions import RegionsShape
from probe.documents.nodes import Node
from probe.model.spec import Regions, RegionsLogin


def regions(file: ConfigFile, shape: RegionsShape | None) -> Regions | None:
    """Which other agents are asked, and with what; None without the section."""
    if shape is None:
        return None
    if not shape.pages and shape.agents is None:
        message = "no agent is named; write pages: with the URLs of other agents, or agents:"
        file.problem(shape.node, message)
    sends = None if shape.basic_auth is None else Cargo("basic_auth: sends a password")
    for index, page in enumerate(shape.pages):
        _check(file, page, shape.at("pages", index), sends)
    file.unique(shape, "pages", "page")
    if shape.agents is not None:
        _check(file, shape.agents, shape.at("agents"), sends)
    pair = client_certificate(file, shape.client_certificate)
    for key in ("certificate", "key"):
        if pair is not None and getattr(pair, key).kind != "file":
            where = shape.at("client_certificate", key)
            file.problem(where, f"the {key} must be in a file here; write file: and its path")
    login = shape.basic_auth
    if login is not None and ":" in login.username:
        file.problem(login.at("username"), "a user's name has no colon (RFC 7617)")
    return Regions(
        pages=tuple(dict.fromkeys(page.rstrip("/") for page in shape.pages)),
        agents=None if shape.agents is None else shape.agents.rstrip("/"),
        trust=trust(file, shape.trust),
        client_certificate=pair,
        login=None if login is None else RegionsLogin(login.username, file.secret(login.password)),
    )


def _check(file: ConfigFile, url: str, where: Node, sends: Cargo | None) -> None:
    problem = url_problem(url, sends, "write basic_auth:")
    if problem is None and (urlsplit(url).query or urlsplit(url).fragment):
        problem = "a page's URL has no query and no fragment; write its address alone"
    if problem is None and urlsplit(url).path.rstrip("/").endswith(("/regions", "/status")):
        problem = "write the agent's address alone, without the path of a page"
    if problem is not None:
        file.problem(where, problem)
