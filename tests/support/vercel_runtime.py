"""Serves an entry file as Vercel's Python runtime does: imported by its path, ``app`` in it called for every path."""

import importlib.util
import socket
import sys

import uvicorn


def main(entry: str) -> None:
    spec = importlib.util.spec_from_file_location("__vc_module", entry)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["__vc_module"] = module
    spec.loader.exec_module(module)
    app = getattr(module, "app", None) or module.application
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1])
