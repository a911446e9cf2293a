"""The files, beside the run store, that keep which jobs were found by importing."""

IN_MODULES = "discovered.json"
IN_PACKAGES = "packages.json"
