"""Two services on one machine share neither ports nor files nor tokens."""

from pathlib import Path

from serve.environment import free_ports, variables


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


def test_two_services_share_nothing_that_is_theirs(tmp_path: Path) -> None:
    first, second = (variables(_directory(tmp_path / name), free_ports(), name=name) for name in "ab")

    own = {
        name for name, value in first.items() if any(part in name for part in ("PORT", "PATH", "FILE", "BASE", "TOKEN"))
    }
    shared = {name for name in own if first[name] == second[name]}
    assert shared == {"PYTHONPATH", "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"}


def test_all_variables_are_known_to_ray(tmp_path: Path) -> None:
    """Ray ignores what it does not know: a misspelt or renamed variable would silently do nothing."""
    import ray
    from ray import _raylet

    sources = [*Path(ray.__file__).parent.rglob("*.py"), Path(_raylet.__file__)]
    ours = {name for name in variables(tmp_path, free_ports(), name="a") if name.startswith("RAY_")}
    unknown = set(ours)
    for source in sources:
        text = source.read_bytes()
        unknown -= {name for name in unknown if name.encode() in text or name.removeprefix("RAY_").encode() in text}

    assert unknown == set()
    assert len(ours) > 20


def test_workers_import_what_this_process_imports(tmp_path: Path) -> None:
    roots = variables(tmp_path, free_ports(), name="a")["PYTHONPATH"].split(":")

    assert (Path(roots[0]) / "serve" / "direct.py").exists()
    assert (Path(roots[0]) / "bandit_nba").exists()
