"""The environment that `./tongban bench match` runs pandas in: requirements/pandas.txt, made once, beside our own."""

import hashlib
import importlib.util
import os
import shutil
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parent.parent


def pandas_python() -> str:
    """Its interpreter; the environment is made if it is missing or of other packages."""
    script = _script()
    place = Path(script.BOOTSTRAP) / "pandas"
    python, stamp = place / "bin" / "python", place / "requirements.sha256"
    wanted = hashlib.sha256(Path(script.requirements("pandas")).read_bytes()).hexdigest()
    with script.one_at_a_time():
        if not (stamp.exists() and stamp.read_text() == wanted):
            shutil.rmtree(place, ignore_errors=True)
            script.fetch_uv()
            script.step(
                [script.UV, "venv", "--quiet", "--python", script.base_python(), str(place)], "pandas' own place"
            )
            words = [script.UV, "pip", "sync", "--python", str(python), "--require-hashes"]
            environment = {**os.environ, **script.uv_settings()}
            script.step([*words, script.requirements("pandas")], "pandas", environment=environment)
            stamp.write_text(wanted)
    return str(python)


def _script() -> Any:
    """./tongban itself knows how environments are made on this machine."""
    loader = SourceFileLoader("tongban_script", str(CHECKOUT / "tongban"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
