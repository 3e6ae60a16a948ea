"""Rung 0: cookiecutter.json is consistent; what it asks is asked in words, documented and used."""

import json

import pytest
from conftest import TEMPLATE

QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
ASKED = [name for name in QUESTIONS if not name.startswith("_")]


@pytest.mark.parametrize("name", ASKED)
def test_every_question_is_asked_in_words_documented_and_used(name: str) -> None:
    prompt = QUESTIONS["__prompts__"][name]
    if isinstance(QUESTIONS[name], list):
        assert set(prompt) == {"__prompt__", *QUESTIONS[name]}
    assert f"`{name}`" in (TEMPLATE / "README.md").read_text(encoding="utf-8")
    sources = [p for p in TEMPLATE.rglob("*") if p.is_file() and ("hooks" in p.parts or "{{" in str(p.parent))]
    assert any(name in source.read_text(encoding="utf-8", errors="ignore") for source in sources)


@pytest.mark.parametrize(
    "name", [name for name in QUESTIONS if name.startswith("__") and "cookiecutter." in QUESTIONS[name]]
)
def test_every_derived_name_is_used(name: str) -> None:
    files = [path for path in (TEMPLATE / "{{cookiecutter.project_slug}}").rglob("*") if path.is_file()]
    texts = [str(path) + path.read_text(encoding="utf-8", errors="ignore") for path in files]
    derived = [str(value) for key, value in QUESTIONS.items() if key.startswith("__") and key != name]
    assert any(f"cookiecutter.{name}" in text for text in texts + derived)


def test_every_starter_and_license_is_a_folder() -> None:
    project = TEMPLATE / "{{cookiecutter.project_slug}}"
    assert {path.name for path in (project / "starters").iterdir()} == set(QUESTIONS["starter"])
    assert {path.name for path in (project / "licenses").iterdir()} | {"None"} == set(QUESTIONS["license"])
