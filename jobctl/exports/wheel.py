"""The wheel of the jobctl that runs, packed from its installed files: an export needs no package index for it.

The same files give the same bytes on every machine: names are sorted, times fixed, and nothing is compressed, since
zlib's output differs between its versions. The man page and the completions, which lie outside the package, stay out.
"""

import base64
import hashlib
import io
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from jobctl import __version__
from jobctl.errors import DISTRIBUTION, UsageError

_PACKAGE = Path(__file__).parents[1]
_KINDS = {".py", ".sql", ".typed"}
_FIXED = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip archive can hold."""
_MODE = 0o100644 << 16
_ABOUT = "Wheel-Version: 1.0\nGenerator: jobctl\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class Wheel(NamedTuple):
    """A wheel file."""

    name: str
    data: bytes


def requirement(extras: str, wheel: Wheel | None) -> str:
    """The line of a requirements file that names jobctl: the wheel beside that file, or the released version."""
    return f"./{wheel.name}[{extras}]" if wheel else f"{DISTRIBUTION}[{extras}]=={__version__}"


def pack() -> Wheel:
    """The running jobctl as a wheel.

    Raises:
        UsageError: it runs from files that were never installed, so its requirements are not known.
    """
    try:
        about = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        raise UsageError(
            f"the distribution {DISTRIBUTION} is not installed, so its wheel cannot be packed",
            hint="pip install . in its folder; or --from-index, where the target can reach a package index",
        ) from None
    stem = f"{DISTRIBUTION.replace('-', '_')}-{__version__}"
    files = {
        f"jobctl/{path.relative_to(_PACKAGE).as_posix()}": path.read_bytes() for path in _package_files()
    }
    info = f"{stem}.dist-info"
    files |= _licenses(about, info)
    files[f"{info}/METADATA"] = _metadata(about).encode()
    files[f"{info}/WHEEL"] = _ABOUT.encode()
    files[f"{info}/entry_points.txt"] = (about.read_text("entry_points.txt") or "").encode()
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_hash(files[name])},{len(files[name])}\n" for name in sorted(files)]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(files, key=lambda one: (one.startswith(info), one)):  # pip reads the metadata last
            entry = zipfile.ZipInfo(name, _FIXED)
            entry.create_system, entry.external_attr = 3, _MODE
            archive.writestr(entry, files[name])
    return Wheel(f"{stem}-py3-none-any.whl", made.getvalue())


def _package_files() -> list[Path]:
    return [
        path
        for path in _PACKAGE.rglob("*")
        if path.is_file()
        and (path.suffix in _KINDS or "templates" in path.parts)
        and "__pycache__" not in path.parts
    ]


def _licenses(about: Distribution, info: str) -> dict[str, bytes]:
    inside = [one for one in about.files or () if "licenses" in one.parts]
    return {f"{info}/licenses/{one.name}": Path(str(one.locate())).read_bytes() for one in inside}


def _metadata(about: Distribution) -> str:
    """What installers need; the version is that of the code, since an editable install remembers an older one."""
    known = about.metadata
    lines = [("Metadata-Version", "2.1"), ("Name", DISTRIBUTION), ("Version", __version__)]
    for field in ("Summary", "Requires-Python", "Requires-Dist", "Provides-Extra"):
        lines += [(field, value) for value in sorted(known.get_all(field) or [])]
    return "".join(f"{field}: {value}\n" for field, value in lines)


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
