"""Every byte in and out of stores: files of this machine, buckets, the web; what of them may be opened; retries."""

from pipeline.storage._access import OPERATORS_VARIABLE, Carried, allow, allowing, in_force, max_bytes, operators_text
from pipeline.storage._call import intercept
from pipeline.storage._identities import identities, identity, map_in_threads
from pipeline.storage._retry import repeated, retries
from pipeline.storage._store import Store
from pipeline.storage.allowed import DEFAULT, MAX_BYTES, Allowed, check_place
from pipeline.storage.entry import Entry, Omitted
from pipeline.storage.errors import Damaged, NotFound, Refused, StorageError, WrongKind
from pipeline.storage.neighbours import neighbours_named
from pipeline.storage.operations import (
    check_no_folder,
    check_writable,
    exists,
    is_folder,
    list_files,
    names_beginning,
    read_bytes,
    remove,
    remove_files,
    remove_folder,
    size,
    sweep,
    walk,
    write_bytes,
    write_if,
)
from pipeline.storage.parquet import parquet_file
from pipeline.storage.places import Places, canonical, check_inside, is_link, is_within, links_in, plain, relative
from pipeline.storage.policy import Policy
from pipeline.storage.ranged_file import RangedFile
from pipeline.storage.secrets import each_text, lasting, without_secrets
from pipeline.storage.uris import absolute, is_on_the_web, is_uri, join, local_path, parent, resolve, without_query

__all__ = [
    "DEFAULT",
    "MAX_BYTES",
    "OPERATORS_VARIABLE",
    "Allowed",
    "Carried",
    "Damaged",
    "Entry",
    "NotFound",
    "Omitted",
    "Places",
    "Policy",
    "RangedFile",
    "Refused",
    "StorageError",
    "Store",
    "WrongKind",
    "absolute",
    "allow",
    "allowing",
    "canonical",
    "check_inside",
    "check_no_folder",
    "check_place",
    "check_writable",
    "each_text",
    "exists",
    "identities",
    "identity",
    "in_force",
    "intercept",
    "is_folder",
    "is_link",
    "is_on_the_web",
    "is_uri",
    "is_within",
    "join",
    "lasting",
    "links_in",
    "list_files",
    "local_path",
    "map_in_threads",
    "max_bytes",
    "names_beginning",
    "neighbours_named",
    "operators_text",
    "parent",
    "parquet_file",
    "plain",
    "read_bytes",
    "relative",
    "remove",
    "remove_files",
    "remove_folder",
    "repeated",
    "resolve",
    "retries",
    "size",
    "sweep",
    "walk",
    "without_query",
    "without_secrets",
    "write_bytes",
    "write_if",
]
