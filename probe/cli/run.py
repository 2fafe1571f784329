"""``probe run``: the daemon."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from probe.cli.options import (
    BAD_CONFIGURATION,
    FAIL,
    config_option,
    die,
    load_spec,
    region_option,
    web_config_option,
)

if TYPE_CHECKING:
    from probe.model.spec import RegionSource


@click.command(short_help="Probe until stopped; serve metrics and a status page.")
@config_option
@region_option
@click.option("--listen", help="ADDRESS:PORT to serve metrics and status page on.")
@web_config_option
@click.option(
    "--log",
    "style",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    show_default=True,
    help="Log lines as JSON or readable; auto is readable on a terminal.",
)
@click.option(
    "--region-from",
    "sources",
    multiple=True,
    type=click.Choice(["kubernetes", "aws", "gce", "azure"]),
    help="Ask the node's label or a cloud's metadata service for the region, where nothing "
    "names it; may be repeated.",
)
@click.option(
    "--handover",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Share the address with another agent of this user that was started with this too: "
    "probe first, and serve once everything is known, after so many seconds at the latest.",
)
@click.option(
    "--shard",
    metavar="I/N",
    default="1/1",
    help="Probe only the I-th of N shares of the targets: one agent on each of N cores.",
)
def run(
    config: Path,
    region: str | None,
    listen: str | None,
    web_config: Path | None,
    style: str,
    sources: tuple[RegionSource, ...],
    handover: float | None,
    shard: str,
) -> None:
    r"""Probe until stopped; serve /metrics, /healthz, /readyz and a status page.

    \b
      probe run --config probe.yaml
      probe run --region sa-east --listen 127.0.0.1:9469 --log json

    SIGHUP reads the configuration again; a bad one is refused and the running one stays.
    SIGTERM ends within a second or two. Exit status: 0 stopped, 1 cannot serve,
    2 bad configuration.
    """
    # Until the agent follows signals. The default action does not end the first process of a
    # container, and would leave behind the process that reads the configuration.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from probe.agent import AgentError, NoRegionError, Options, run_agent
    from probe.agent.log import configure
    from probe.documents.problem import DocumentError
    from probe.net.child import keep_to_itself
    from probe.schedule import Shard, ShardError

    keep_to_itself()
    try:
        share = Shard.parse(shard)
    except ShardError as error:
        raise click.BadParameter(str(error), param_hint="--shard") from error
    chosen: Literal["json", "text"] = "json"
    if style == "text" or (style == "auto" and sys.stderr.isatty()):
        chosen = "text"
    configure(sys.stderr, chosen)
    spec = load_spec(config, region, apart=True)
    options = Options(
        config=config,
        region=region,
        listen=listen,
        web_config=web_config,
        environ=dict(os.environ),
        region_from=sources,
        handover=handover,
        shard=share,
    )
    try:
        run_agent(spec, options)
    except NoRegionError as error:
        die(str(error), BAD_CONFIGURATION)
    except DocumentError as error:
        die(str(error), BAD_CONFIGURATION)
    except AgentError as error:
        die(str(error), FAIL)
