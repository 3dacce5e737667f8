"""Pages of others: served on this machine at another port and by other names, to attack a site."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from booper.cli.binding import bound, bound_addresses
from booper.server.limits import Limits
from booper.server.listener import Listener, listening

PAGE: Final = "<!doctype html><title>elsewhere</title><p>elsewhere<iframe name=hidden></iframe>"

NAMES: Final = ("127.0.0.1", "localhost", "evil.test")
"""How the foreign page is called: the first is the same site as booper's pages, the last is not."""

# A form that fills a hidden frame; it is done when the frame has whatever came back.
SUBMIT: Final = """([url, fields, kind]) => new Promise((done) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: url, enctype: kind, target: "hidden" });
  for (const [name, value] of fields) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name, value });
    form.append(input);
  }
  document.body.append(form);
  document.querySelector("iframe").onload = () => done();
  form.submit();
})"""

# Each returns what it could read, "" if nothing.
WRITES: Final = {
    "fetch": """([url, body]) => fetch(url, { method: "POST", mode: "no-cors",
      credentials: "include", body: new URLSearchParams(body) })
      .then((one) => one.text(), () => "")""",
    "fetch of text": """([url, body]) => fetch(url, { method: "POST", mode: "no-cors",
      credentials: "include", headers: { "Content-Type": "text/plain" },
      body: new URLSearchParams(body).toString() }).then((one) => one.text(), () => "")""",
    "fetch with CORS": """([url, body]) => fetch(url, { method: "POST", credentials: "include",
      body: new URLSearchParams(body) }).then((one) => one.text(), () => "")""",
    "fetch of JSON": """([url, body]) => fetch(url, { method: "POST", credentials: "include",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(body)) }).then((one) => one.text(), () => "")""",
    "DELETE": """([url]) => fetch(url, { method: "DELETE", credentials: "include" })
      .then((one) => one.text(), () => "")""",
    "XMLHttpRequest": """([url, body]) => new Promise((done) => {
      const request = new XMLHttpRequest();
      request.open("POST", url);
      request.withCredentials = true;
      request.onloadend = () => done(request.responseText);
      request.send(new URLSearchParams(body));
    })""",
    "beacon": "([url, body]) => { navigator.sendBeacon(url, new URLSearchParams(body)); }",
}

READS: Final = {
    "fetch": """(url) => fetch(url, { credentials: "include" })
      .then((one) => one.text(), () => "")""",
    "opaque fetch": """(url) => fetch(url, { mode: "no-cors", credentials: "include" })
      .then((one) => one.text(), () => "")""",
    "XMLHttpRequest": """(url) => new Promise((done) => {
      const request = new XMLHttpRequest();
      request.open("GET", url);
      request.withCredentials = true;
      request.onloadend = () => done(request.responseText);
      request.send();
    })""",
    "frame": """(url) => new Promise((done) => {
      const frame = document.createElement("iframe");
      frame.onload = () => {
        try { done(frame.contentDocument.body.innerText); } catch { done(""); }
      };
      frame.src = url;
      document.body.append(frame);
    })""",
    "script": """(url) => new Promise((done) => {
      const script = document.createElement("script");
      script.onload = () => done("run");
      script.onerror = () => done("");
      script.src = url;
      document.body.append(script);
    })""",
    "style sheet": """(url) => new Promise((done) => {
      const sheet = document.createElement("link");
      sheet.onload = () => {
        try { done([...sheet.sheet.cssRules].map((rule) => rule.cssText).join()); }
        catch { done(""); }
      };
      sheet.onerror = () => done("");
      Object.assign(sheet, { rel: "stylesheet", href: url });
      document.body.append(sheet);
    })""",
    "image": """(url) => new Promise((done) => {
      const image = new Image();
      image.onload = () => done("seen");
      image.onerror = () => done("");
      image.src = url;
    })""",
    "events": """(url) => new Promise((done) => {
      const source = new EventSource(url, { withCredentials: true });
      source.onopen = () => { source.close(); done("opened"); };
      source.onerror = () => { source.close(); done(""); };
    })""",
}


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    await HTMLResponse(PAGE)(scope, receive, send)


@asynccontextmanager
async def foreign_pages() -> AsyncIterator[int]:
    """Serve a page of others on a port of its own, at every path and by every name."""
    with bound(["127.0.0.1"], 0) as sockets:
        async with listening(Listener(_page, 1, sockets, Limits())):
            yield bound_addresses(sockets)[0][1]


def without_checks(app: ASGIApp) -> ASGIApp:
    """Return an application to which every request seems to come from a page of its own."""

    async def deceived(scope: Scope, receive: Receive, send: Send) -> None:
        checked = {b"sec-fetch-site", b"origin", b"host"}
        kept = [each for each in scope.get("headers", ()) if each[0] not in checked]
        own = [(b"host", b"127.0.0.1"), (b"sec-fetch-site", b"same-origin")]
        await app({**scope, "headers": [*kept, *own]}, receive, send)

    return deceived
