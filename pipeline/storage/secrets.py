"""Secrets in URIs: passwords, signatures and keys, and what of a URI says which picture it is."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"
"""What is written in the place of a key whose parameter may also say which picture is meant."""

_USER = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<user>[^\s/?#\"<>\\]*)@")
_KEYS = re.compile(r"(?<=://)[^\s/?#@:\"<>\\[]+:(?!:|\d{1,5}(?:[/?#]|$))[^\s@\"<>\\]*@")
"""User and key in front of a host or bucket; the latter may have slashes, as secret keys of AWS often do."""

_USER_ALONE = ("http", "https", "ftp", "ftps")
"""Schemes in which a user without a password is a token or none of our business: abfs has containers there."""

_QUERY = re.compile(r"\?[^\s\"<>\\]*[^\s\"<>\\:,.;)\]']")
"""A query within a text, without the punctuation behind it."""

_SIGNING = re.compile(
    r"x-(?:amz|goog|obs)-.+|x-oss-(?:signature|credential|date|expires|security|additional).*|x-cos-security-token"
    r"|q-(?:sign-algorithm|ak|sign-time|key-time|header-list|url-param-list|signature)"
    r"|(?:aws|oss|google)?access(?:key)?id|googleaccessid|key-pair-id"
)
"""Parameters that only signatures of presigned URLs have, whatever the store."""

_AZURE = re.compile("s(?:ig|v|s|rt|r|p|e|t|pr|ip|i|koid|ktid|kt|ke|ks|kv|aoid|uoid|cid|dd|es)")
"""Parameters of a shared access signature of Azure, where both `sig` and `sv` are among them."""

_SIGNED = frozenset(("signature", "expires", "policy", "security-token", "hash-algorithm", "signatureversion"))
"""Parameters that belong to a signature where `signature` is among them: of S3's older kind, CloudFront, and others."""

_CREDENTIALS = re.compile(
    r"(?:.*[_.-])?(?:token|api[_-]?key|access[_-]?key|secret(?:[_-]?key)?|passw(?:or)?d|pwd|jwt|credentials?)"
    r"|auth|authorization|bearer|hdnea|hdnts|__token__|session[_-]?id|sid"
)
"""Parameters that let their holder in, and in some addresses alone say which picture is meant."""

_GOOGLE_KEY = re.compile(r"AIza[\w-]{35}")


def without_secrets(text: str, *, of: str = "") -> str:
    """Return a URI, or a text with URIs in it, as it may be written and shown: without passwords, signatures and keys.

    Everything that is written, shown or logged about a URI passes through here. What it takes out is not kept anywhere:
    results name a signed picture by the address that was signed.

    Args:
        text: any.
        of: a URI whose secrets are taken out wherever they are in the text; file systems name paths without schemes.
    """
    for secret in _secrets_of(of) if of else ():
        text = text.replace(secret, "")
    return _cleaned(text, hides_keys=True) if "://" in text else text


def _secrets_of(uri: str) -> list[str]:
    """Return the parts of a URI that are not written, as they are and decoded, the longest first."""
    clean = without_secrets(uri)
    if clean == uri:
        return []
    users = [match[0].rpartition("://")[2] for pattern in (_USER, _KEYS) for match in pattern.finditer(uri)]
    parts = [*users, *re.split("[?&#]", uri.partition("?")[2])]
    return sorted({each for part in parts if part and part not in clean for each in (part, unquote(part))}, key=len)[
        ::-1
    ]


def lasting(uri: str) -> str:
    """Return what of a URI says which picture is meant, for ids and fingerprints.

    Two signatures of one object are the same work, and so are two places to which Ray has unpacked a working folder: of
    a picture that travels in it, its path in that folder is returned. Any other URI is returned as it is.
    """
    if "://" in uri:
        uri = _cleaned(uri, hides_keys=False)
    _, travels, path = uri.partition(TRAVELLING)
    return path.partition("/")[2] if travels else uri


TRAVELLING = "/runtime_resources/working_dir_files/"
"""What the path of a file has in it that has travelled to a cluster in a working folder, before the folder's name."""


def _cleaned(text: str, *, hides_keys: bool) -> str:
    """Return a text without users, passwords and signatures; without the values of further keys as well, on request."""
    while "@" in text and (without_user := _KEYS.sub("", _USER.sub(_without_user, text))) != text:
        text = without_user
    if "?" not in text:
        return text
    is_web = "http://" in text or "https://" in text or "HTTP" in text
    return _QUERY.sub(lambda found: _query(found[0], is_web=is_web, hides_keys=hides_keys and is_web), text)


def _without_user(match: re.Match[str]) -> str:
    """Return the beginning of a URI without its user; with it, where it is no secret."""
    is_secret = ":" in match["user"] or match["scheme"].lower() in _USER_ALONE
    return f"{match['scheme']}://" if is_secret else match[0]


def _query(query: str, *, is_web: bool, hides_keys: bool) -> str:
    """Return a query, which begins with a question mark, without its secrets; empty if it was nothing else.

    Args:
        query: of a URI, up to its fragment or beyond.
        is_web: whether parameters are removed as well that a key of an object store might have for other reasons.
        hides_keys: whether the values of keys are hidden.
    """
    query, hash_sign, fragment = query[1:].partition("#")
    parts = query.split("&")
    names = [unquote(part.partition("=")[0]).lower().removeprefix("amp;") for part in parts]
    signing = _signing(names, is_web=is_web)
    kept = [
        _hidden(part, name) if hides_keys else part
        for part, name in zip(parts, names, strict=True)
        if name not in signing
    ]
    if hash_sign and hides_keys:
        fragment = "&".join(_hidden(part, part.partition("=")[0].lower()) for part in fragment.split("&"))
    return ("?" + "&".join(kept) if kept else "") + hash_sign + fragment


def _signing(names: Collection[str], *, is_web: bool) -> set[str]:
    """Return which parameters of a query are a signature's, by their names in lower case."""
    known = set(names)
    signing = {name for name in known if _SIGNING.fullmatch(name)}
    if {"sig", "sv"} <= known:
        signing |= {name for name in known if _AZURE.fullmatch(name)}
    if is_web:
        signing |= known & {"sig", "q-signature"}
        if "signature" in known:
            signing |= known & _SIGNED
    return signing


def _hidden(part: str, name: str) -> str:
    """Return a parameter of a query with its value hidden if it is a key."""
    written, equals, value = part.partition("=")
    is_key = _CREDENTIALS.fullmatch(name) or (name == "key" and _GOOGLE_KEY.fullmatch(value))
    return f"{written}={HIDDEN}" if equals and is_key else part


def each_text(value: object, change: Callable[[str], str] = without_secrets) -> Any:
    """Return a value of JSON's types, or one of tuples and mappings, with every text in it changed.

    Args:
        value: any; what is none of these types is returned as it is.
        change: is called with each text that is no name; by default secrets are taken out.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: each_text(part, change) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [each_text(part, change) for part in value]
    return value
