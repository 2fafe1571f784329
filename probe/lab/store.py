"""Store pages: what a customer of any store walks through, from the front page to the cart."""

from __future__ import annotations

from dataclasses import dataclass

from probe.lab.gate import Gate
from probe.lab.http import Exchange, Response, html_response, json_response, platform_error

PRODUCT = "blue-shirt"
CATEGORY = "shirts"


def _page(title: str, body: str) -> str:
    return f"<!doctype html><title>{title}</title><body>{body}</body>"


@dataclass(frozen=True, slots=True)
class Store:
    """Every store: the pages differ by the name of the host only. Layer: ``store``."""

    gate: Gate

    async def respond(self, exchange: Exchange) -> Response:
        """Answer one request; faults on the way are raised as ``gate.Stopped``."""
        await self.gate.enter("store", exchange)
        request = exchange.request
        match request.method, request.path:
            case "GET" | "HEAD", "/":
                link = f'<a href="/{CATEGORY}">Shirts</a>'
                return html_response(_page(f"{request.host}: welcome", link))
            case "GET", "/shirts":
                link = f'<a href="/{PRODUCT}/p">Blue shirt</a>'
                return html_response(_page(f"{request.host}: shirts", link))
            case "GET", "/blue-shirt/p":
                button = '<button data-sku="101">Add to cart</button>'
                return html_response(_page(f"{request.host}: blue shirt", button))
            case "GET", "/api/catalog_system/pub/products/search":
                item = {"itemId": "101", "name": "Blue shirt"}
                return json_response([{"productId": "1", "linkText": PRODUCT, "items": [item]}])
            case "POST", "/api/checkout/pub/orderForms/simulation":
                return _simulate(exchange)
            case _:
                return html_response(_page("Not found", "No such page."), 404)


def _simulate(exchange: Exchange) -> Response:
    """Price and stock of what would be in the cart; nothing is ordered."""
    document = exchange.request.json()
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list):
        return platform_error(exchange, 400, "bad_request", "items are missing")
    priced = [
        {"id": str(item.get("id")), "quantity": item.get("quantity", 1), "price": 4990}
        | {"availability": "available"}
        for item in items
        if isinstance(item, dict)
    ]
    total = sum(4990 * int(one["quantity"]) for one in priced)
    return json_response({"items": priced, "totals": [{"id": "Items", "value": total}]})
