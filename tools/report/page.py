"""What the pages have in common: the look, the script that copies frame numbers, a policy that lets nothing else run, and
texts from the wire made harmless."""
# SPDX-License-Identifier: GPL-2.0-or-later

import base64
import contextlib
import functools
import hashlib
import os
import pathlib
import unicodedata
import zlib

FOLDER = pathlib.Path(__file__).resolve().parent
MAX_TEXT = 500          # characters of a text from the wire


def harmless(text):
    """Nothing invisible, nothing that turns the direction of what follows; not longer than a line may be."""
    text = str(text)
    short = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
    if short.isascii() and short.isprintable():
        return short
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") else c for c in short)


def number(value, digits=1):
    """- where it isn't known."""
    return "-" if value is None else f"{value:,.{digits}f}"


def hash_of(script):
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def compiled():
    """Where jinja2 keeps the templates' byte code: they are compiled once. None where the user has no folder for it."""
    import jinja2

    class Cache(jinja2.FileSystemBytecodeCache):
        def dump_bytecode(self, bucket):
            with contextlib.suppress(OSError):      # a full disk
                super().dump_bytecode(bucket)

    try:
        folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "facetime")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():    # code of another's isn't run
            return None
        # jinja2 asks after the template's text alone, and its options stand here
        return Cache(str(folder), f"%s-{zlib.crc32(pathlib.Path(__file__).read_bytes()):08x}.cache")
    except (OSError, RuntimeError):
        return None


@functools.lru_cache(maxsize=None)
def prepare(template):
    """The template, ready to be filled in: worth doing while tshark is at work. ImportError without jinja2."""
    import jinja2
    environment = jinja2.Environment(autoescape=True, loader=jinja2.FileSystemLoader(FOLDER), trim_blocks=True,
                                     lstrip_blocks=True, bytecode_cache=compiled(),
                                     finalize=lambda value: harmless(value) if type(value) is str else value)
    environment.filters["number"] = number
    environment.globals["raw"] = lambda text: jinja2.utils.markupsafe.Markup(text)
    return environment.get_template(template)


def render(template, library=None, **values):
    """A page by its template; library: (script, style) that it may use, too. ImportError without jinja2."""
    script = (FOLDER / "report.js").read_text(encoding="utf-8")
    scripts = [s for s in (library and library[0], script) if s]
    return prepare(template).render(
        scripts=scripts, policy=" ".join(map(hash_of, scripts)), library_style=library and library[1],
        style=(FOLDER / "report.css").read_text(encoding="utf-8"), **values)
