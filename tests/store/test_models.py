"""Models in the store: newest by publication, bytes of old ones pruned, sparse weights kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.errors import ModelError, UnknownIdError
from bandit_nba.learn.manifest import Manifest, Probe, StoredModel, Term
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.registry import models
from bandit_nba.store.tables import models as table


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(sqlite_url(tmp_path / "nba.db"))
    yield database
    database.close()


def model(*, examples: int, created_at: float = 1_000.0) -> StoredModel:
    manifest = Manifest(
        parent="",
        vw_args=("--cb_adf",),
        bits=18,
        features=FeatureSettings(customer=("age",)),
        learning=Learning(options={"learning_rate": 0.1, "noconstant": True}),
        examples_learned=examples,
        feature_version="f",
        reward_version="r",
        learned_from=1.25,
        learned_until=2.5,
        created_at=created_at,
        model_sha256="00",
        model_length=3,
        sparse_sha256="11",
        sparse_length=4,
        weights_sha256="22",
        reward_range=(0.0, 1.0),
        probes=(Probe(context=(Term("U", 7, 1.0),), arm=(Term("A", 8, 0.5),), expected_reward=0.1),),
    ).named()
    return StoredModel(manifest=manifest, model=b"vw%d" % examples, sparse=b"sparse%d" % examples)


def publish(database: Database, *published: StoredModel) -> None:
    with database.write() as connection:
        for one in published:
            models.publish(connection, one)


def test_what_is_published_is_read_back(database: Database) -> None:
    one = model(examples=1)
    publish(database, one)

    with database.read() as connection:
        actual = models.read(connection, one.manifest.version)

    assert actual == one


def test_the_newest_is_the_one_published_last_whatever_its_time(database: Database) -> None:
    with database.read() as connection:
        assert models.newest(connection) is None
    publish(database, model(examples=1, created_at=2_000.0), last := model(examples=2, created_at=1_000.0))

    with database.read() as connection:
        assert models.newest(connection) == last.manifest.version


def test_pruning_drops_the_bytes_of_all_but_the_newest_and_keeps_sparse_weights(database: Database) -> None:
    published = [model(examples=i) for i in range(5)]
    publish(database, *published)

    with database.write() as connection:
        dropped = models.prune(connection, keep=2)
    with database.read() as connection:
        rows = models.listing(connection)
        kept = [models.read(connection, p.manifest.version) for p in published]

    assert dropped == 3
    assert [(row.serial, row.model_kept) for row in rows] == [(5, True), (4, True), (3, False), (2, False), (1, False)]
    assert [k.model for k in kept] == [None, None, None, b"vw3", b"vw4"]
    assert [k.sparse for k in kept] == [p.sparse for p in published]


def test_a_version_follows_from_the_manifests_content() -> None:
    assert model(examples=1) == model(examples=1)
    assert model(examples=1).manifest.version != model(examples=2).manifest.version
    assert model(examples=1).manifest.named() == model(examples=1).manifest


def test_an_unknown_version_is_named_with_the_nearest(database: Database) -> None:
    one = model(examples=1)
    publish(database, one)

    with database.read() as connection, pytest.raises(UnknownIdError, match=f'did you mean "{one.manifest.version}"'):
        models.read(connection, one.manifest.version[:-1])


def test_a_damaged_manifest_is_a_model_error(database: Database) -> None:
    one = model(examples=1)
    publish(database, one)
    with database.write() as connection:
        connection.execute(sa.update(table).values(manifest=b'{"version": "x"'))

    with database.read() as connection, pytest.raises(ModelError, match="manifest cannot be read"):
        models.read(connection, one.manifest.version)
