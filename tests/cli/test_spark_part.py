"""The environment with Spark: made when it is asked for, used by nodes as long as it fits, and by nothing else."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.test_script import Copy
from tongban.cli import full, spark_part, testing
from tongban.node import spark


@pytest.fixture
def a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A checkout with its environment, on a machine that has Java."""
    monkeypatch.setattr(spark, "java", lambda: "/usr/bin/java")
    copy = Copy(tmp_path / "somewhere")
    (copy.root / "requirements" / "spark.txt").write_text("c==1\n")
    copy.start("up")
    return copy


def runs_in(copy: Copy, *words: str) -> str:
    return str(json.loads(copy.start(*words).stdout)["python"])


def test_it_is_made_once(a_copy):
    interpreter = spark_part.spark_python(a_copy.root)
    assert interpreter == str(a_copy.root / ".bootstrap" / "spark" / "bin" / "python")
    assert spark_part.spark_python(a_copy.root) == interpreter
    assert a_copy.asked() == ["venv", "run", "venv", "spark"]


def test_a_node_s_commands_run_in_it_once_it_is_there_and_no_others(a_copy):
    assert "spark" not in runs_in(a_copy, "node", "check", "DIR")
    interpreter = spark_part.spark_python(a_copy.root)
    assert runs_in(a_copy, "node", "check", "DIR") == interpreter
    assert "spark" not in runs_in(a_copy, "up")


def test_one_of_other_packages_is_not_used_and_made_anew(a_copy):
    spark_part.spark_python(a_copy.root)
    (a_copy.root / "requirements" / "spark.txt").write_text("c==2\n")
    assert "spark" not in runs_in(a_copy, "node", "check", "DIR")
    spark_part.spark_python(a_copy.root)
    assert a_copy.asked()[-2:] == ["venv", "spark"]


def test_one_that_could_not_be_fetched_is_said_and_not_taken_for_made(a_copy, monkeypatch):
    monkeypatch.setenv("UV_FAILS", "1")
    with pytest.raises(spark_part.SparkNotFetched, match="no such host"):
        spark_part.spark_python(a_copy.root)
    assert "spark" not in runs_in(a_copy, "node", "check", "DIR")


def test_who_may_not_install_java_is_told_the_command_before_anything_is_fetched(a_copy, monkeypatch):
    monkeypatch.setattr(spark, "java", lambda: "")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(testing.PartMissing, match="sudo apt-get install -y openjdk-17-jre-headless"):
        spark_part.spark_python(a_copy.root)
    assert a_copy.asked() == ["venv", "run"]


def test_a_long_run_that_needs_spark_has_its_tests_run_there(monkeypatch, tmp_path):
    ran: list[str] = []
    run = full.FullRun("it holds", ("tests/spark/test_it.py",), spark=True)
    monkeypatch.setattr(full, "FULL_RUNS", {"it": run, "other": full.FullRun("it holds", ("tests/test_it.py",))})
    monkeypatch.setattr(full, "spark_python", lambda root: "where Spark is")
    monkeypatch.setattr(full, "run_pytest", lambda *told: (ran.append(told[-1]), (True, 0.0, ""))[1])
    full.run_chunk(tmp_path, "it", 0, 1, quiet=True)
    full.run_chunk(tmp_path, "other", 0, 1, quiet=True)
    assert ran[0] == "where Spark is" != ran[1]
