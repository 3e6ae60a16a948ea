"""The kit's manifest is up to date, and `check` notices a kit that was edited by hand."""

import shutil
from pathlib import Path

from conftest import PACKAGE, BakedProject
from kit.contract.manifest import NAME, changed_files, manifest


def test_manifest_is_up_to_date() -> None:
    assert changed_files(PACKAGE / "kit") == [], "write it anew: python tools/hash_kit.py"


def test_manifest_tells_edited_new_and_missing_files(tmp_path: Path) -> None:
    kit = tmp_path / "kit"
    shutil.copytree(PACKAGE / "kit", kit, ignore=shutil.ignore_patterns("__pycache__"))
    (kit / NAME).write_text(manifest(kit), encoding="utf-8")
    (kit / "cli.py").write_bytes((kit / "cli.py").read_bytes().replace(b"\n", b"\r\n"))  # as Git on Windows does
    assert changed_files(kit) == []
    (kit / "files.py").write_text("# edited", encoding="utf-8")
    (kit / "new.py").touch()
    (kit / "errors.py").unlink()
    assert changed_files(kit) == ["errors.py", "files.py", "new.py"]


def test_check_warns_of_a_kit_that_was_edited(corridor: BakedProject) -> None:
    path = corridor.source / "kit" / "README.md"
    text = path.read_text(encoding="utf-8")
    try:
        assert "kit_unchanged" not in corridor.command("check", check=True).stdout
        path.write_text(text + "\nedited\n", encoding="utf-8")
        output = corridor.command("check", check=True).stdout
    finally:
        path.write_text(text, encoding="utf-8")
    assert "WARNING kit_unchanged" in output and "README.md" in output


def test_pyprojects_ignored_checks_are_honoured_by_check_train_and_the_tests(corridor: BakedProject) -> None:
    path = corridor.path / "pyproject.toml"
    text, env = path.read_text(encoding="utf-8"), corridor.source / "env.py"
    source = env.read_text(encoding="utf-8")
    table = f'\n[tool.{corridor.package}.check]\nignore = {{ observation_type = "lists are meant" }}\n'
    try:
        env.write_text(source.replace("length], np.float32)", "length], np.float32).tolist()"), encoding="utf-8")
        assert "ERROR observation_type" in corridor.command("check").stdout
        no_more_than_preflight = ("train", "--name", "ignoring", "--num-env-runners", "9999")
        refused = corridor.command(*no_more_than_preflight)
        assert refused.returncode == 1 and "ERROR observation_type" in refused.stdout
        path.write_text(text + table, encoding="utf-8")
        assert "1 ignored: observation_type (lists are meant)" in corridor.command("check", check=True).stdout
        passed = corridor.command(*no_more_than_preflight)
        assert passed.stdout.splitlines()[1:] == ["1 ignored: observation_type (lists are meant)"]
        assert passed.returncode == 2 and "num_env_runners = 9999" in passed.stderr
        tests = corridor.run(
            "-m", "pytest", "-q", "-rs", "-k", "observation_type", "tests/test_contract.py", check=True
        )
        assert "lists are meant" in tests.stdout
        path.write_text(text + table.replace("observation_type", "observation_typ"), encoding="utf-8")
        done = corridor.command("check")
        assert done.returncode == 2 and "did you mean 'observation_type'" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    finally:
        path.write_text(text, encoding="utf-8")
        env.write_text(source, encoding="utf-8")
