"""Which area of the Python library reference each module of the standard library belongs to.

The areas join neighbouring chapters of the reference's table of contents, so that each is large enough to be learnt.
Interpreters differ in what they bring: an area that falls short is merged into its neighbour, or left out
(``areas_of``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

FEWEST_MODULES = 8
FEWEST_FILES = 20
MOST_AREAS = 10

_MODULES = {
    "Text and Markup": "string re difflib textwrap unicodedata stringprep readline struct codecs encodings gettext "
    "locale html xml",
    "Data Types and Persistence": "datetime zoneinfo calendar collections heapq bisect array weakref types copy pprint "
    "reprlib enum graphlib numbers math cmath decimal fractions random statistics itertools functools operator pickle "
    "copyreg shelve marshal dbm sqlite3",
    "Files and Formats": "pathlib posixpath ntpath genericpath fileinput stat filecmp tempfile glob fnmatch linecache "
    "shutil compression zlib gzip bz2 lzma zipfile tarfile csv configparser tomllib netrc nturl2path xdrlib plistlib",
    "Operating System and Concurrency": "os io time logging platform errno ctypes tty pty fcntl pipes resource syslog "
    "nis hashlib hmac secrets crypt threading multiprocessing concurrent subprocess sched queue contextvars",
    "User Interfaces": "tkinter turtle cmd shlex argparse optparse getopt getpass curses rlcompleter wave colorsys "
    "aifc sunau chunk sndhdr imghdr audioop ossaudiodev",
    "Networking and Protocols": "asyncio socket ssl select selectors signal asyncore asynchat smtpd mmap webbrowser "
    "wsgiref urllib http ftplib poplib imaplib nntplib smtplib telnetlib uuid socketserver xmlrpc ipaddress cgi cgitb",
    "Internet Data": "email json mailcap mailbox mimetypes base64 binascii binhex quopri uu",
    "Development Tools": "typing pydoc doctest unittest bdb faulthandler pdb profile cProfile pstats timeit trace "
    "tracemalloc distutils venv zipapp",
    "Runtime and Language": "sysconfig builtins warnings dataclasses contextlib abc atexit traceback gc inspect "
    "annotationlib site code codeop zipimport pkgutil modulefinder runpy importlib imp ast symtable token tokenize "
    "keyword tabnanny pyclbr py_compile compileall dis pickletools opcode",
}
_AREA_OF = {module: area for area, modules in _MODULES.items() for module in modules.split()}
_NEIGHBOUR = {
    "Text and Markup": "Internet Data",
    "Internet Data": "Networking and Protocols",
    "Files and Formats": "Operating System and Concurrency",
    "Data Types and Persistence": "Runtime and Language",
    "Development Tools": "Runtime and Language",
}


def areas_of(files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The area of each module, after merging what is too small.

    Args:
        files: Module (the first part of its dotted name) and file of each source file that gives rows.

    Returns:
        Area by module. Every area has at least 8 modules and 20 files, and there are at most 10; a module that the
        reference's table does not know, or of an area too small and without a neighbour, is not there.
    """
    held: dict[str, set[tuple[str, str]]] = {}
    for module, file in files:
        if module in _AREA_OF:
            held.setdefault(_AREA_OF[module], set()).add((module, file))
    while (area := _to_merge(held)) is not None:
        members = held.pop(area)
        if (into := _NEIGHBOUR.get(area)) is not None:
            held.setdefault(into, set()).update(members)
    return {module: area for area, members in sorted(held.items()) for module, _ in sorted(members)}


def _to_merge(held: Mapping[str, set[tuple[str, str]]]) -> str | None:
    """The smallest area that falls short; else, where there are too many, the smallest."""
    short = [area for area, members in held.items() if not _is_large_enough(members)]
    if not short and len(held) > MOST_AREAS:
        short = list(held)
    return min(short, key=lambda area: (len(held[area]), area), default=None)


def _is_large_enough(members: set[tuple[str, str]]) -> bool:
    modules = {module for module, _ in members}
    return len(modules) >= FEWEST_MODULES and len({file for _, file in members}) >= FEWEST_FILES
