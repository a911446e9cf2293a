"""Which modules are looked into for ``@job`` functions, and what they are called."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobctl.catalogue.caches import IN_MODULES, IN_PACKAGES
from jobctl.catalogue.discover import Source
from jobctl.catalogue.packages import GROUP, Package
from jobctl.catalogue.projectfile import ProjectFile


def sources(file: ProjectFile, installed: Sequence[Package]) -> Iterator[Source]:
    """Packages first, so that the project has the last word."""
    yield Source(
        [module for one in installed for module in one.modules],
        f"the entry points {GROUP} of {', '.join(one.label for one in installed)}",
        IN_PACKAGES,
        [one.label for one in installed],
    )
    yield Source(file.modules, file.place("modules"), IN_MODULES)


def origin_of(found: Mapping[str, Any], installed: Sequence[Package]) -> str:
    """``acme-jobs 1.2`` for a package's job, else its file and line."""
    module = str(found["settings"]["call"]).partition(":")[0]
    return next((one.label for one in installed if module in one.modules), str(found["origin"]))
