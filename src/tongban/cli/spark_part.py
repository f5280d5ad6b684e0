"""The environment with Spark: everything in .venv, and PySpark, made when somebody needs it.

It lies under .bootstrap/spark and takes some 480 MB. A node's commands run in it once it is there.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tongban.cli import console
from tongban.cli.own_script import own_script
from tongban.kit.errors import Unavailable
from tongban.node import spark


class SparkNotFetched(Unavailable):
    code = "cli.spark_not_fetched"
    message = "Spark could not be fetched, or does not start: {what}."
    remedy = "Check the network or pip's settings (pip config list) and the memory, and run the same command again."


def spark_python(root: Path) -> str:
    """Interpreter of that environment; it is made, and Java installed, if they are not there.

    Raises PartMissing, SparkNotFetched.
    """
    # Here, because the tests' own command needs this module for its long runs.
    from tongban.cli.testing import SystemPart, install_system_parts

    install_system_parts(root, (SystemPart("Java", lambda _: not spark.java(), (spark.JAVA,)),))
    script = own_script(root)
    found = os.path.join(script.SPARK, "bin", "python")
    with script.one_at_a_time():
        if not script.holds_spark():
            console.note("making the environment with Spark (a download of some 460 MB)")
            try:
                _make(script, found)
            except script.Failed as failed:
                raise SparkNotFetched(what=failed.last_line()) from None
    return found


def _make(script: Any, interpreter: str) -> None:
    shutil.rmtree(script.SPARK, ignore_errors=True)
    script.fetch_uv()
    script.step([script.UV, "venv", "--quiet", "--python", script.base_python(), script.SPARK], "Spark's environment")
    wanted = script.requirements("spark")
    words = [
        script.UV,
        "pip",
        "sync",
        "--python",
        interpreter,
        "--require-hashes",
        "--build-constraints",
        wanted,
        wanted,
    ]
    script.step(words, "PySpark", environment={**os.environ, **script.uv_settings()})
    # Everything else is taken from where it is already.
    (Path(script.packages(script.SPARK)) / "tongban.pth").write_text(
        f"{script.packages(script.VENV)}\n{script.ROOT}/src\n", encoding="utf-8"
    )
    (Path(script.SPARK) / "tongban.stamp").write_text(script.spark_stamp(), encoding="utf-8")


def tried(interpreter: str) -> dict[str, Any]:
    """Start Spark there and ask it something; its version, seconds and memory. Raises SparkNotFetched."""
    command = [interpreter, "-P", "-m", "tongban.cli.spark_part"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise SparkNotFetched(what=lines[-1])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _try() -> dict[str, Any]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        session = spark.session(spark.Settings(Path(folder)))
        started = time.monotonic()
        session.sql("SELECT sum(id) FROM range(1000)").collect()
        asked = time.monotonic()
        process = session.sparkContext._gateway.proc.pid
        peak = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
        version = str(session.version)
        session.stop()
    memory = int(peak[1]) // 1024 if peak else 0
    return {"spark": version, "start": started - began, "query": asked - started, "memory_mb": memory}


if __name__ == "__main__":
    print(json.dumps(_try()))
