"""XMP packets: the caption, rating and keywords of a photo that its result keeps, and the parameters of the result."""

import io
import json
import logging
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

MOST_BYTES = 32 * 1024
"""Bytes of a photo's properties that are kept. JPEG holds 64 kB of XMP in all, and the parameters need their place."""

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_PREFIXES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "nst": "urn:nst-pipeline:1.0:",
}
for _prefix, _space in _PREFIXES.items():
    ElementTree.register_namespace(_prefix, _space)

_KEPT = {
    "dc": ("title", "description", "subject", "creator", "rights"),
    "xmp": ("Rating", "Label"),
    "lr": ("hierarchicalSubject",),
    "photoshop": ("Headline", "City", "State", "Country", "Credit", "Source", "DateCreated"),
    "Iptc4xmpCore": ("Location", "CountryCode"),
    "MicrosoftPhoto": ("Rating", "LastKeywordXMP"),
    "digiKam": ("TagsList",),
}

Properties = dict[str, ElementTree.Element]
"""Properties of XMP by their qualified names."""

log = logging.getLogger(__name__)


def name(prefixed: str) -> str:
    """Return the qualified name of a property that is written with its prefix, such as `dc:title`."""
    prefix, _, local = prefixed.partition(":")
    return f"{{{_PREFIXES[prefix]}}}{local}"


_NAMES = {name(f"{prefix}:{local}") for prefix, names in _KEPT.items() for local in names}
_METADATA = name("nst:metadata")


def kept(packet: bytes) -> Properties:
    """Return the properties of a photo's packet that its result keeps; none where they cannot be read."""
    try:
        elements = {tag: element for tag, element in _properties(packet).items() if tag in _NAMES}
        size = sum(len(ElementTree.tostring(element)) for element in elements.values())
    except Exception as error:  # XMP is written by anyone: a broken packet is no reason to lose the picture
        log.warning("XMP is left out, since it cannot be read: %s", error)
        return {}
    if size > MOST_BYTES:
        log.warning("XMP is left out: its caption and keywords have %d bytes, more than %d", size, MOST_BYTES)
        return {}
    return elements


def text(value: str) -> ElementTree.Element:
    """Return the value of a property such as `dc:title`, a text that may be given in several languages."""
    element, alternatives = ElementTree.Element("value"), ElementTree.Element(f"{_RDF}Alt")
    element.append(alternatives)
    ElementTree.SubElement(alternatives, f"{_RDF}li", {_XML_LANGUAGE: "x-default"}).text = value
    return element


def items(values: Sequence[str], *, ordered: bool = False) -> ElementTree.Element:
    """Return the value of a property such as `dc:subject`, which has several texts."""
    element, list_ = ElementTree.Element("value"), ElementTree.Element(f"{_RDF}{'Seq' if ordered else 'Bag'}")
    element.append(list_)
    for value in values:
        ElementTree.SubElement(list_, f"{_RDF}li").text = value
    return element


def packet(properties: Properties, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return a packet with properties, and with metadata as JSON; equal arguments give equal bytes."""
    root = ElementTree.Element(f"{{{_PREFIXES['x']}}}xmpmeta")
    about = ElementTree.SubElement(
        ElementTree.SubElement(root, f"{_RDF}RDF"), f"{_RDF}Description", {f"{_RDF}about": ""}
    )
    for tag, value in properties.items():
        value.tag, value.tail = tag, None
        about.append(value)
    if metadata is not None:
        ElementTree.SubElement(about, _METADATA).text = json.dumps(dict(metadata))
    body = ElementTree.tostring(root)
    return b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>' + body + b'<?xpacket end="w"?>'


def metadata_in(packet: bytes) -> dict[str, str] | None:
    """Return the metadata that `packet` put there; None where there is none."""
    try:
        entries = json.loads(_properties(packet)[_METADATA].text or "")
    except Exception:  # Someone else's packet, or someone else's broken one.
        return None
    return {str(key): str(text) for key, text in entries.items()} if isinstance(entries, dict) else None


def _properties(packet: bytes) -> Properties:
    """Return all properties of a packet; those that are written as attributes become elements.

    Raises:
        ValueError: for a packet that declares entities, whose expansion has no bound.
        ParseError: if it is not XML.
    """
    if b"<!" in packet:
        raise ValueError("it has a document type")
    root = ElementTree.parse(io.BytesIO(packet.strip(b"\0 \r\n\t"))).getroot()
    elements: Properties = {}
    for description in root.iter(f"{_RDF}Description"):
        for tag, value in description.attrib.items():
            element = ElementTree.Element(tag)
            element.text = value
            elements.setdefault(tag, element)
        for element in description:
            elements.setdefault(element.tag, element)
    return elements
