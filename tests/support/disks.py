"""Small disks, and disks that cannot be written, where this user may mount; else the test is skipped."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs the right to mount")


@contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    mount(*arguments, str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """Of ``size``, as ``512k``; empty."""
    with mounted(place, "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs"):
        yield


def resize(place: Path, size: str) -> None:
    mount("-o", f"remount,size={size}", str(place))


@contextmanager
def read_only(folder: Path, place: Path) -> Iterator[None]:
    """The folder at ``place``, where nothing in it can be written."""
    with mounted(place, "--bind", str(folder)):
        mount("-o", "remount,bind,ro", str(place))
        yield


@contextmanager
def overlay(lower: Path, place: Path) -> Iterator[None]:
    """The folder at ``place``, as a container has its image: what is written goes elsewhere, and no folder of
    ``lower`` can be renamed."""
    with small_disk(place.with_name(f"{place.name}-upper"), "64m"):
        upper, work = (place.with_name(f"{place.name}-upper") / name for name in ("upper", "work"))
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off"
        with mounted(place, "-t", "overlay", "-o", options, "overlay"):
            yield
