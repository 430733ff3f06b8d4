"""Print what the rule of `simulators/bakeoff_data.py` takes and leaves out, and the lines of sweep.toml that it makes.

python -m experiments.bakeoff.datasets
"""

from simulators.bakeoff_data import candidates, development, held_out


def scenario_line(name: str) -> str:
    """The line of sweep.toml for a data set; a test holds the file against the rule."""
    return f'    {{ name = "{name}", options = {{ world = "bakeoff", world_options = {{ dataset = "{name}" }} }} }},'


def main() -> None:
    """Print the rule's list."""
    for_development = set(development())
    for one in candidates():
        if not one.excluded:
            use = "development" if one.name in for_development else "held out"
            print(f"{one.name:<34} {one.rows:>7,} rows {one.classes:>3} classes of {one.column:<24} {use}")
    left_out: dict[str, list[str]] = {}
    for one in candidates():
        if one.excluded:
            left_out.setdefault(one.excluded, []).append(one.name)
    for reason, names in sorted(left_out.items(), key=lambda item: len(item[1])):
        print(f"\nleft out ({len(names)}), {reason}:\n  {', '.join(names)}")
    print("\nsweep.toml:")
    print("\n".join(map(scenario_line, held_out())))


if __name__ == "__main__":
    main()
