"""./tongban itself, as a module: it knows how environments are made on this machine."""

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any


def own_script(root: Path) -> Any:
    """The script of the checkout `root`, loaded and not run."""
    loader = SourceFileLoader("tongban_script", str(root / "tongban"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
