"""A register in Spark, in node.toml: what is read of it, and what is refused before Spark is looked for."""

from pathlib import Path

import pytest

from tests.node.test_config import GOOD, written
from tongban.kit.config import FileInvalid
from tongban.node import config as configs
from tongban.node import spark
from tongban.node.adapters import connect
from tongban.node.adapters.register import Bounds, RegisterChanged

POINT = 'point = "SELECT name, status FROM persons WHERE id_number = :key"\n'
IN_SPARK = GOOD.replace('url = "sqlite:///persons.db"', 'spark = "warehouse/persons"').replace(POINT, "")


def test_a_register_in_spark_is_a_folder_and_its_session_has_bounds(tmp_path):
    found = configs.read(written(tmp_path, IN_SPARK)).registers["persons"]
    assert (found.kind, found.location) == ("spark", str(tmp_path / "warehouse" / "persons"))
    assert found.spark == spark.Settings(tmp_path / "spark", "local[2]", 1_024)


def test_a_session_s_settings_are_the_node_s_own(tmp_path):
    told = '[spark]\nmaster = "local[8]"\nmemory_mb = 4096\nfolder = "/data/spark"\n'
    found = configs.read(written(tmp_path, IN_SPARK + told)).registers["persons"]
    assert found.spark == spark.Settings(Path("/data/spark"), "local[8]", 4_096)


def test_an_address_stays_as_it_is(tmp_path):
    text = IN_SPARK.replace('"warehouse/persons"', '"hdfs://warehouse/persons"')
    assert configs.read(written(tmp_path, text)).registers["persons"].location == "hdfs://warehouse/persons"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (IN_SPARK.replace('register = "persons"\n', f'register = "persons"\n{POINT}'), "Spark, which answers no query"),
        (IN_SPARK + "[spark]\nmemory = 4096\n", "unknown key 'memory'"),
        (IN_SPARK + "[spark]\nmemory_mb = 64\n", "between 512"),
        (IN_SPARK.replace('spark = "', 'csv = "persons.csv"\nspark = "'), "exactly one of"),
    ],
)
def test_what_does_not_hold_is_told(tmp_path, text, said):
    with pytest.raises(FileInvalid, match=said):
        configs.read(written(tmp_path, text))


def test_a_machine_without_spark_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "warehouse" / "persons").mkdir(parents=True)
    config = configs.read(written(tmp_path, IN_SPARK)).registers["persons"]
    with pytest.raises(spark.SparkMissing, match="tongban node spark"):
        connect(config, Bounds(1, 1))


def test_parts_that_spark_would_misread_are_refused(tmp_path):
    (tmp_path / "warehouse" / "persons" / "kind=%E6%8A%A4%E7%85%A7").mkdir(parents=True)
    config = configs.read(written(tmp_path, IN_SPARK)).registers["persons"]
    with pytest.raises(RegisterChanged, match="%-encoded"):
        connect(config, Bounds(1, 1))
