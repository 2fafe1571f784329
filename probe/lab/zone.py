"""The lab's DNS data: who lives where, as each region sees it. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

_IN = dns.rdataclass.IN
_LONGEST_CHAIN = 8

TOP = "example"
"""The domain above everything in the lab: its CAA records hold for all names."""

AUTHORITY = "authority.example"


class Zone:
    """Names, aliases and addresses; when aliases change, so does ``version``.

    Args:
        hosts: name to addresses per region; the region ``""`` is for everybody.
        aliases: name to canonical name.
        subnets: region to the network of its clients (RFC 7871).
        ttl: of addresses, in seconds; an alias may live up to a half longer.
        authority: name by which CAA records allow the lab's own certificates.
    """

    def __init__(
        self,
        hosts: Mapping[str, Mapping[str, tuple[str, ...]]],
        aliases: Mapping[str, str],
        subnets: Mapping[str, str],
        ttl: int,
        authority: str = AUTHORITY,
    ) -> None:
        self._hosts = hosts
        self._aliases = dict(aliases)
        self._subnets = {region: ip_network(prefix) for region, prefix in subnets.items()}
        self.ttl = ttl
        self.authority = authority
        self.version = 0

    def point(self, names: Iterable[str], canonical: str) -> None:
        """Move names: from the next answer on they lead to this canonical name."""
        if canonical not in self._hosts:
            raise ValueError(f"no host of this zone is called {canonical!r}")
        self.version += 1
        for name in names:
            self._aliases[name] = canonical

    def lookup(self, name: str, region: str) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
        """Aliases followed, and the addresses at their end.

        Raises:
            KeyError: no such name.
        """
        chain: list[tuple[str, str]] = []
        while (canonical := self._aliases.get(name)) is not None:
            chain.append((name, canonical))
            name = canonical
            if len(chain) > _LONGEST_CHAIN:
                return chain, ()
        per_region = self._hosts[name]
        return chain, per_region.get(region, per_region.get("", ()))

    def region_of(self, query: dns.message.Message) -> tuple[str, dns.edns.ECSOption] | None:
        """The region that a question's client subnet lies in, and the option to answer with.

        None without the option, or with a subnet of no region (the resolver's own view counts).
        """
        for option in query.options:
            if not isinstance(option, dns.edns.ECSOption):
                continue
            address = ip_address(option.address)
            for region, network in self._subnets.items():
                if address in network:
                    scope = network.prefixlen
                    return region, dns.edns.ECSOption(option.address, option.srclen, scope)
        return None

    def _ttl_of(self, alias: str) -> int:
        """Between ``ttl`` and a half more: names that are asked for together expire apart."""
        return self.ttl + zlib.crc32(alias.encode()) % (self.ttl // 2 + 1)

    def answer(self, query: dns.message.Message, region: str) -> dns.message.Message:
        """What an honest server answers for a region."""
        response = reply_to(query)
        response.flags |= dns.flags.AA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        if question.rdtype == dns.rdatatype.CAA and name == TOP:
            value = f'0 issue "{self.authority}"'
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, _IN, "CAA", value))
            return response
        if question.rdtype == dns.rdatatype.HTTPS:
            return self._https(response, name, region)
        try:
            chain, addresses = self.lookup(name, region)
        except KeyError:
            response.set_rcode(dns.rcode.NXDOMAIN)
            return response
        for alias, canonical in chain:
            ttl, target = self._ttl_of(alias), f"{canonical}."
            response.answer.append(dns.rrset.from_text(f"{alias}.", ttl, _IN, "CNAME", target))
        last = f"{chain[-1][1] if chain else name}."
        if question.rdtype == dns.rdatatype.A and addresses:
            response.answer.append(dns.rrset.from_text_list(last, self.ttl, _IN, "A", addresses))
        return response

    def _https(self, response: dns.message.Message, name: str, region: str) -> dns.message.Message:
        """Promise HTTP/2 at the host's addresses, whatever the port (RFC 9460 section 9.1)."""
        host = name.partition("._https.")[2] or name
        try:
            _, addresses = self.lookup(host, region)
        except KeyError:
            response.set_rcode(dns.rcode.NXDOMAIN)
            return response
        if addresses:
            response.answer.append(https_record(name, self.ttl, host, addresses))
        return response


def https_record(name: str, ttl: int, host: str, hints: Iterable[str]) -> dns.rrset.RRset:
    """An HTTPS record that promises HTTP/2 and hints at addresses."""
    value = f"1 {host}. alpn=h2,http/1.1 ipv4hint={','.join(hints)}"
    return dns.rrset.from_text(f"{name}.", ttl, _IN, "HTTPS", value)


def reply_to(query: dns.message.Message) -> dns.message.Message:
    """An empty answer that offers recursion and echoes EDNS."""
    return dns.message.make_response(query, recursion_available=True, our_payload=1232)


def view(zone: Zone, query: dns.message.Message, own: str, *, heeds_subnets: bool) -> str:
    """The region whose answer a question gets."""
    if heeds_subnets and (found := zone.region_of(query)) is not None:
        return found[0]
    return own


def healthy_answer(
    zone: Zone, query: dns.message.Message, own: str, *, heeds_subnets: bool
) -> dns.message.Message:
    """The zone's answer, with the scope of the client subnet where one was heeded."""
    response = zone.answer(query, view(zone, query, own, heeds_subnets=heeds_subnets))
    found = zone.region_of(query) if heeds_subnets else None
    if found is not None:
        response.use_edns(edns=0, payload=1232, options=[found[1]])
    return response
