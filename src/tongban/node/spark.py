"""A Spark of this node's own, for registers that lie in it.

PySpark is no part of a node's environment: it is imported when a node's file names a register in Spark, and never
otherwise. A session is a Java process beside this one. It takes some ten seconds to start, and ends when its work does.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tongban.kit.errors import Unavailable

Session: TypeAlias = Any  #: pyspark.sql.SparkSession

JAVA = "openjdk-17-jre-headless"  #: the package of Debian and Ubuntu


class SparkMissing(Unavailable):
    """A register lies in Spark, and Spark or its Java is not here."""

    code = "node.spark_missing"
    message = "Spark cannot be used here: {what}."
    remedy = "Run `./tongban node spark`, which fetches Spark and says what else is missing."


@dataclass(frozen=True, slots=True)
class Settings:
    """How a session is started. `master` other than local[…] is a cluster, whose addresses are Spark's own settings."""

    folder: Path  #: for what does not fit into memory: rows of registers among it
    master: str = "local[2]"
    memory_mb: int = 1_024


def missing() -> str:
    """What keeps Spark from starting, in words; empty if nothing does. Starts nothing."""
    from importlib.util import find_spec

    if find_spec("pyspark") is None:
        return "PySpark is not in this environment"
    return "" if java() else f"there is no Java; Debian and Ubuntu have it as {JAVA}"


def java() -> str:
    """Path of the Java that Spark will use; empty if there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin" if home else None) or ""


def session(settings: Settings) -> Session:
    """Start Spark, or take the one of this process: there is only one. Raises SparkMissing.

    `stop()` ends its work; its Java process ends with this one, however this one ends.
    """
    if what := missing():
        raise SparkMissing(what=what)
    from pyspark.sql import SparkSession

    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    builder = SparkSession.builder.appName("tongban").master(settings.master)
    for name, value in _options(settings).items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        # Java's own words go to the error stream as they come.
        raise SparkMissing(what=f"it did not start ({type(error).__name__})") from None


def _options(settings: Settings) -> dict[str, str]:
    folder = str(settings.folder)
    options = {
        "spark.driver.memory": f"{settings.memory_mb}m",
        # A rule's stages lie many SELECTs deep, and Spark walks through them by recursion.
        "spark.driver.extraJavaOptions": "-Xss16m",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": folder,
        # Its messages quote values of the rows that they are about.
        "spark.log.level": "OFF",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        # Neither a SELECT nor a text of a rule is a place for a variable, or for the path of a file.
        "spark.sql.variable.substitute": "false",
        "spark.sql.runSQLOnFiles": "false",
        # A folder 0101 is no number 101; a date of before 1582 is the same one in every store.
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
        "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    }
    if settings.master.startswith("local"):
        # One machine: nothing of it is to be reached from another.
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        options["spark.sql.shuffle.partitions"] = "4"
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return options


def kill(session: Session) -> None:
    """End Spark whatever it is doing: what it was told to break off may go on for hours, and its end waits for that.

    This process cannot start another.
    """
    process = session.sparkContext._gateway.proc
    process.kill()
    process.wait()
