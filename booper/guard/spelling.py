"""Paths and queries as they go on the wire, by the WHATWG URL Standard (url.spec.whatwg.org).

Only this module gives a URL's path and query their final spelling. That one is judged, shown and
sent. It knows nothing of hosts.
"""

import re
from urllib.parse import quote

# The standard's percent-encode sets of path and special query, as the characters that stay beside
# letters, digits and "_.-~". A percent sign stays whatever follows it.
_PATH_SAFE = "!$%&'()*+,/:;=@[]|"
_QUERY_SAFE = "!$%&()*+,/:;=@[]|?^`{}"

# Most paths and queries are spelled already, and need no second look.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_/-]*")
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9_.=&-]*")
_MAY_HAVE_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_DOT = re.compile(r"\.|%2e", re.IGNORECASE)
_DOTS = re.compile(r"(?:\.|%2e){2}", re.IGNORECASE)

# Characters that a reference may have but no URL here: they are encoded, as browsers do.
_TAB_OR_NEWLINE = re.compile(r"[\t\n\r]")
_C0_OR_SPACE = "".join(map(chr, range(0x21)))
_TO_ENCODE = re.compile(r"[\x00-\x20\x7f-\x9f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def spell_path(path: str) -> str:
    """Return a path, which begins with "/" or is empty, without segments of dots and in ASCII."""
    if _PLAIN_PATH.fullmatch(path):
        return path
    return quote(_without_dots(path), safe=_PATH_SAFE) or "/"


def spell_query(query: str) -> str:
    """Return a query in ASCII."""
    return query if _PLAIN_QUERY.fullmatch(query) else quote(query, safe=_QUERY_SAFE)


def resolve(reference: str, scheme: str, origin: str, path: str, query: str | None) -> str:
    """Return the URL that a reference in a document of another URL means.

    The others are the parts of that URL. Whatever is no relative reference is returned as it is,
    but for spaces and control characters behind its authority, which are encoded.
    """
    reference = _TAB_OR_NEWLINE.sub("", reference.strip(_C0_OR_SPACE))
    return _encode_controls(_absolute(reference, scheme, origin, path, query))


def _without_dots(path: str) -> str:
    """Return a path without "." and "..", in any spelling (the standard's "path state")."""
    if _MAY_HAVE_DOTS.search(path) is None:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if _DOTS.fullmatch(segment):
            kept = kept[:-1]
        elif not _DOT.fullmatch(segment):
            kept.append(segment)
    if _DOT.fullmatch(segments[-1]) or _DOTS.fullmatch(segments[-1]):
        kept.append("")  # "/a/b/.." is the folder "/a/", not a file "/a"
    return "/" + "/".join(kept)


def _absolute(reference: str, scheme: str, origin: str, path: str, query: str | None) -> str:
    found = _SCHEME.match(reference)
    if found is not None:
        rest = reference[found.end() :]
        if found[1].lower() != scheme or rest.startswith("//"):
            return reference
        reference = rest  # "https:x" in a document of https is "x"
    if reference.startswith("//"):
        return f"{scheme}:{reference}"
    if reference.startswith("/"):
        return origin + reference
    if reference.startswith("?"):
        return origin + path + reference
    if reference.startswith("#") or not reference:
        return origin + path + ("" if query is None else f"?{query}")
    return f"{origin}{path.rpartition('/')[0]}/{reference}"


def _encode_controls(url: str) -> str:
    authority = _AUTHORITY.match(url)
    end = authority.end() if authority is not None else 0
    return url[:end] + _TO_ENCODE.sub(lambda found: quote(found[0]), url[end:])
