"""The environment that `./tongban bench match` runs pandas in: requirements/pandas.txt, made once, beside our own."""

import hashlib
import os
import shutil
from pathlib import Path

from tongban.cli.own_script import own_script
from tongban.cli.root import checkout


def pandas_python() -> str:
    """Its interpreter; the environment is made if it is missing or of other packages."""
    script = own_script(checkout())
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
