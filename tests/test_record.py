"""Settings as records, and back."""

import json
from dataclasses import dataclass

import pytest

import attar
from attar.methods import METHODS
from attar.record import describe, rebuild
from attar.types import AttarError


@pytest.mark.parametrize("name", METHODS)
def test_every_method_survives_its_record(name, made):
    method = made(name)
    record = json.loads(json.dumps(describe(method)))
    assert rebuild(record) == method


def test_changed_settings_survive_too():
    method = attar.methods.dsa(model="convnet2-8", lr=0.3, matchings=4, distance="cosine", augmentation="flip_crop")
    again = rebuild(json.loads(json.dumps(describe(method))))
    assert again == method
    assert again.surrogates.loops[0][1] == 4


def test_functions_are_named_and_found():
    record = describe(attar.distances.mean_distance)
    assert record == {"function": "attar.distances.features:mean_distance"}
    assert rebuild(record) is attar.distances.mean_distance


@dataclass(frozen=True)
class Foreign:
    value: int = 1


@pytest.mark.parametrize(
    "record",
    [
        {"type": "os:system", "fields": {}},
        {"type": "subprocess:Popen", "fields": {"args": ["true"]}},
        {"function": "os:getcwd"},
        {"type": "attar.distilled.dataset:Path", "fields": {}},
        {"function": "attar.jobs:run.x"},
        {"type": "attar.data.lookup:nothing", "fields": {}},
        {"type": "attar.nowhere:Part", "fields": {}},
        {"type": "attar.runs:RunDirectory", "fields": {"path": "."}},
    ],
)
def test_what_is_not_a_part_of_attar_is_refused_by_name(record):
    [name] = {record.get("type") or record.get("function")}
    with pytest.raises(AttarError, match=f"The settings name {name}, which is neither"):
        rebuild(record)


def test_a_class_of_the_callers_own_is_described_and_refused():
    record = describe(Foreign(3))
    assert record["fields"] == {"value": 3}
    with pytest.raises(AttarError, match="Foreign"):
        rebuild(record)


def test_a_lambda_is_not_passed_off_as_a_function():
    record = describe(lambda real, synthetic: 0)
    with pytest.raises(AttarError, match="neither a part of attar"):
        rebuild(record)


def test_fields_of_another_version_are_said():
    record = describe(attar.surrogates.Fresh())
    record["fields"]["colour"] = "red"
    with pytest.raises(AttarError, match="has other fields in this version"):
        rebuild(record)


@pytest.mark.parametrize("name", ["attar.cli:main", "attar.methods.coresets:random", "attar.rng:derive"])
def test_a_function_is_no_part_and_is_not_called(name):
    with pytest.raises(AttarError, match="it is a function: they were tampered with"):
        rebuild({"type": name, "fields": {}})


def test_fields_that_are_none_are_refused():
    with pytest.raises(AttarError, match="no fields by name"):
        rebuild({"type": "attar.synthetic.pixels:Pixels", "fields": 7})
