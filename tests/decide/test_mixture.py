"""Mixtures: the logged probability is the true chance of each arm, however components and customers are drawn."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest

import bandit_nba.templates
from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.audit.run import audit
from bandit_nba.decide.batch import Decisions, Requests
from bandit_nba.decide.choice.mixture import Mixed, MixturePolicy, check_mixture, in_words
from bandit_nba.decide.choice.sample import draw
from bandit_nba.decide.columns import Floats
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Baseline, Challenger, Exploration, Explorer, Mixture, Policy
from bandit_nba.decide.record import DecisionRecord, logged
from bandit_nba.errors import SettingsError
from bandit_nba.settings import parse
from tests.decide import decide_world as world
from tests.decide.decide_log import REWARD_VERSION, Memory, logged_as

RANKING = Baseline(kind="ranking", order=("yearly", "discount", "bill_help"))
BOLD = Challenger(name="bold", share=0.25, exploration=Explorer(kind="epsilon_greedy", epsilon=0.5))
FLAT = Challenger(name="flat", share=0.125, exploration=Explorer(kind="uniform"))
EVERYTHING = Mixture(experiment="spring", control=0.25, baseline_share=0.125, challengers=(BOLD, FLAT))
FLOOR = 0.1


def _engine(mixture: Mixture, *, floor: float = FLOOR, kind: str = "squarecb") -> Engine:
    exploration = Exploration(kind=kind, floor=floor)  # type: ignore[arg-type]  # a literal
    policy = msgspec.structs.replace(world.POLICY, mixture=mixture, baseline=RANKING, exploration=exploration)
    return world.engine(policy)


def _requests(rows: int, *, seed: int = 0) -> Requests:
    """A third of the customers are anonymous; each other one asks twice."""
    requests = world.requests(rows, seed=seed)
    customers = ["" if i % 3 == 0 else f"{i // 6:032x}" for i in range(rows)]
    return replace(requests, customers=customers)


def _own(engine: Engine, requests: Requests, exploration: Exploration) -> Floats:
    """What the learned policy would do with this exploration, floor included, without any mixture."""
    policy = msgspec.structs.replace(engine.policy, mixture=Mixture(), exploration=exploration)
    return world.engine(policy).decide(requests, world.ExactModel()).probability


def _ranked(engine: Engine, decisions: Decisions) -> Floats:
    """The ranking by hand, with the floor: yearly, else the four discounts evenly, else bill_help, else nothing."""
    groups = [["yearly"], [f"discount/v{i}" for i in range(1, 5)], ["bill_help"], ["no_action"]]
    column = {arm.id: k for k, arm in enumerate(engine.arms)}
    out = np.zeros(decisions.probability.shape)
    mask = decisions.eligibility.mask
    for i in range(len(out)):
        arms = next(a for a in ([column[n] for n in g if mask[i, column[n]]] for g in groups) if a)
        out[i, arms] = 1.0 / len(arms)
    return (1 - FLOOR) * out + FLOOR * mask / mask.sum(axis=1, keepdims=True)


class TestProbabilities:
    """Against the textbook: draw what is drawn, then the arm from the component's own distribution, floor included."""

    def test_everything_at_once(self) -> None:
        """champion .5, bold .25, flat .125, baseline .125 of the decisions outside the control group of .25."""
        engine, requests = _engine(EVERYTHING), _requests(300)
        got = engine.decide(requests, world.ExactModel())
        parts = {
            "champion": _own(engine, requests, Exploration(floor=FLOOR)),
            "bold": _own(engine, requests, Exploration(kind="epsilon_greedy", epsilon=0.5, floor=FLOOR)),
            "flat": _own(engine, requests, Exploration(kind="uniform", floor=FLOOR)),
            "baseline": _ranked(engine, got),
        }
        shares = {"champion": 0.5, "bold": 0.25, "flat": 0.125, "baseline": 0.125}
        outside = sum(shares[name] * parts[name] for name in shares)
        assert got.credit is not None
        in_control = np.array([got.credit.names[c] == "control" for c in got.credit.component])
        anonymous = np.array([customer == "" for customer in requests.customers])

        expected = np.where(
            anonymous[:, None],
            0.25 * parts["baseline"] + 0.75 * outside,
            np.where((in_control & ~anonymous)[:, None], parts["baseline"], outside),
        )

        np.testing.assert_allclose(got.probability, expected, rtol=0, atol=1e-12)
        for i, name in enumerate(got.credit.names[c] for c in got.credit.component):
            own = parts["baseline" if name == "control" else name]
            np.testing.assert_allclose(got.credit.probability[i], own[i], rtol=0, atol=1e-12)

    def test_every_way_to_draw_enumerated(self) -> None:
        """The sampler's two uniforms cut the unit square into rectangles: their areas are s_c p_c(arm), exactly."""
        engine, requests = _engine(EVERYTHING), _requests(30)
        acting = engine.acting(world.ExactModel())
        made = acting.distribution(engine.situation(requests, engine.eligible(requests)))
        assert isinstance(made, Mixed)
        rows = np.arange(30)

        area = np.zeros((30, len(made.parts), len(engine.arms)))
        for arm in range(len(engine.arms)):
            upper = np.cumsum(made.probability, axis=1)[:, arm]
            width = made.probability[:, arm]
            possible = rows[width > 0.0]
            np.testing.assert_array_equal(draw(made.probability[possible], (upper - width / 2)[possible]), arm)
            given = made.given(np.where(width > 0.0, arm, 0))[possible]
            edges = np.cumsum(given, axis=1)
            for c in range(len(made.parts)):
                wide = given[:, c] > 0.0
                middle = (edges[:, c] - given[:, c] / 2)[wide]
                np.testing.assert_array_equal(draw(given[wide], middle), c)
                area[possible, c, arm] = width[possible] * given[:, c]

        wanted = np.stack([made.shares[:, [c]] * part for c, part in enumerate(made.parts)], axis=1)
        np.testing.assert_allclose(area, wanted, rtol=0, atol=1e-14)
        np.testing.assert_allclose(area.sum(axis=1), made.probability, rtol=0, atol=1e-14)  # the chance of each arm
        np.testing.assert_allclose(area.sum(axis=2), made.shares, rtol=0, atol=1e-12)  # and of each component

    def test_as_often_as_they_say(self) -> None:
        """One anonymous request under 40,000 ids: pairs of component and arm within 4.5 standard deviations."""
        engine, n = _engine(EVERYTHING), 40_000
        one = world.requests(1, seed=9)
        rows = np.zeros(n, dtype=np.int64)
        many = Requests(
            ids=[f"id-{i}" for i in range(n)],
            customers=[""] * n,
            channels=replace(one.channels, codes=one.channels.codes[rows]),
            decided_at=one.decided_at[rows],
            facts=type(one.facts).from_rows([one.facts.row(0)] * n, one.facts.schema),
            readable=one.readable[rows],
        )

        got = engine.decide(many, world.ExactModel())

        assert got.credit is not None
        acting = engine.acting(world.ExactModel())
        made = acting.distribution(engine.situation(one, engine.eligible(one)))
        assert isinstance(made, Mixed)
        for c, k in product(range(len(got.credit.names)), range(len(got.arms))):
            # the one request has a customer; anonymous shares are those of the decisions above
            p = float(got.credit.share[got.credit.component == c][0] * made.parts[c][0, k])
            count = int(((got.credit.component == c) & (got.chosen == k)).sum())
            assert abs(count - n * p) <= 4.5 * np.sqrt(n * p * (1 - p)) + 1e-9, (got.credit.names[c], k)

    def test_always_one_arm_is_estimated_without_bias(self) -> None:
        """IPS of "always arm k" over rows of every assignment: true mean within 4 standard errors; seed 4."""
        engine, requests = _engine(EVERYTHING), _requests(20_000, seed=4)
        got = engine.decide(requests, world.ExactModel())
        rng = np.random.default_rng(4)
        truth = rng.random((20_000, len(engine.arms)))
        reward = truth[np.arange(20_000), got.chosen]
        for k in np.flatnonzero(got.eligibility.mask.all(axis=0)).tolist():
            weight = (got.chosen == k) / got.probability[:, k]
            values = weight * reward - truth[:, k]

            assert abs(values.mean()) < 4 * values.std() / np.sqrt(20_000)


class TestAssignment:
    def test_a_customer_stays_where_the_experiment_puts_them(self) -> None:
        engine, other = _engine(EVERYTHING), _engine(msgspec.structs.replace(EVERYTHING, experiment="autumn"))
        customers = [f"{i:032x}" for i in range(6_000)]
        now, later = (replace(world.requests(6_000, seed=seed), customers=customers) for seed in (1, 2))

        spring, again, autumn = (
            _in_control(e.decide(r, world.ExactModel())) for e, r in ((engine, now), (engine, later), (other, now))
        )

        np.testing.assert_array_equal(spring, again)
        for group in (spring, autumn):  # .25 within 4 standard deviations
            assert abs(group.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 6_000)
        both = (spring & autumn).mean()  # afresh: independent of each other
        assert abs(both - 0.0625) < 4 * np.sqrt(0.0625 * 0.9375 / 6_000)

    def test_what_the_log_says_of_each_row(self) -> None:
        engine, requests = _engine(EVERYTHING), _requests(300)
        rows = [logged(record) for record in _log(engine, requests)]

        for row in rows:
            assert row.credit.experiment == "spring"
            if row.credit.component == "control" and row.customer:
                assert (row.credit.assignment, row.credit.share) == ("customer", 0.25)
                assert row.credit.probabilities is None
            else:
                assert row.credit.assignment == "decision"
                among = {"champion": 0.5, "bold": 0.25, "flat": 0.125, "baseline": 0.125, "control": 0.0}
                inside = 0.75 if not row.customer else 1.0
                expected = 0.25 if row.credit.component == "control" else inside * among[row.credit.component]
                assert row.credit.share == pytest.approx(expected, abs=1e-12)
                assert row.credit.probabilities is not None
                assert sum(row.credit.probabilities) == pytest.approx(1.0)
        assert {row.credit.component for row in rows} == {"champion", "bold", "flat", "baseline", "control"}

    def test_only_a_control_group(self) -> None:
        """Who is not in it has the champion, conditional on that: assigned per customer, too."""
        engine, requests = _engine(Mixture(experiment="e", control=0.25)), _requests(300)
        rows = [logged(record) for record in _log(engine, requests)]
        champion = _own(engine, requests, Exploration(floor=FLOOR))
        made = engine.decide(requests, world.ExactModel())

        for i, row in enumerate(rows):
            if row.customer:
                assert row.credit.assignment == "customer"
                assert row.credit.share == (0.25 if row.credit.component == "control" else 0.75)
                if row.credit.component == "champion":
                    np.testing.assert_allclose(made.probability[i], champion[i], rtol=0, atol=1e-15)

    def test_cautious(self) -> None:
        engine, requests = _engine(Mixture(baseline_share=0.875)), _requests(50)
        got = engine.decide(requests, world.ExactModel())

        expected = 0.125 * _own(engine, requests, Exploration(floor=FLOOR)) + 0.875 * _ranked(engine, got)
        np.testing.assert_allclose(got.probability, expected, rtol=0, atol=1e-12)
        assert not logged(_log(engine, requests)[0]).credit.experiment


class TestApprentice:
    def test_the_baseline_acts_and_the_champion_is_watched(self) -> None:
        engine, requests = _engine(Mixture(apprentice=True)), _requests(100)
        got = engine.decide(requests, world.ExactModel())
        row = logged(_log(engine, requests)[5])

        champion = _own(engine, requests, Exploration(floor=FLOOR))
        np.testing.assert_allclose(got.probability, _ranked(engine, got), rtol=0, atol=1e-12)
        assert got.shadow is not None
        np.testing.assert_allclose(got.shadow.probability, champion, rtol=0, atol=1e-12)
        assert (row.credit.component, row.credit.share, row.credit.assignment) == ("baseline", 1.0, "none")
        assert row.shadow is not None
        assert row.shadow.policy == "champion"
        assert row.shadow.arm == got.arms[int(got.shadow.chosen[5])].id
        assert len(row.shadow.probabilities) == len(row.arms)

    def test_expected_rewards_are_still_the_models(self) -> None:
        engine, requests = _engine(Mixture(apprentice=True)), _requests(20)
        plain = _engine(Mixture())

        got, learned = (e.decide(requests, world.ExactModel()) for e in (engine, plain))

        np.testing.assert_array_equal(got.expected_reward, learned.expected_reward)

    def test_what_it_would_do_is_drawn_apart_from_what_is_done(self) -> None:
        """Both uniform over the same arms: they agree in 1 of K rows, as independent draws do."""
        policy = msgspec.structs.replace(
            world.POLICY, mixture=Mixture(apprentice=True), exploration=Exploration(kind="uniform")
        )
        got = world.engine(policy).decide(world.requests(8_000, seed=6), world.ExactModel())
        assert got.shadow is not None

        expected = 1.0 / got.eligibility.mask.sum(axis=1)

        agree = (got.shadow.chosen == got.chosen).mean()
        assert abs(agree - expected.mean()) < 4 * np.sqrt((expected * (1 - expected)).sum()) / 8_000

    def test_without_a_floor_the_rows_say_that_they_support_nothing_else(self) -> None:
        engine = _engine(Mixture(apprentice=True), floor=0.0)
        rows = [logged(record) for record in _log(engine, _requests(50))]

        assert not any(row.support for row in rows if len(row.arms) > 4)
        assert engine.acting(world.ExactModel()).full_support is False


class TestAudit:
    @pytest.mark.parametrize(
        "mixture", [EVERYTHING, Mixture(apprentice=True), Mixture(experiment="e", control=0.5), Mixture()]
    )
    def test_a_true_log_is_clean(self, mixture: Mixture) -> None:
        engine = _engine(mixture)

        found = audit(_log(engine, _requests(400)), Memory(engine.policy), rng=np.random.default_rng(0))

        assert (found.rows, found.differing, found.ok) == (400, 0, True)

    @pytest.mark.parametrize(
        ("forged", "differs"),
        [
            ({"component": "champion"}, "component"),
            ({"component_share": 0.9}, "component"),
            ({"assignment": "customer"}, "component"),
            ({"experiment": "autumn"}, "component"),
            ({"component_probabilities": None}, "component"),
            ({"shadow": b'{"policy":"champion","arm":"tv","probabilities":[1.0]}'}, "shadow"),
            ({"support": False}, "record"),
            ({"customer": "f" * 32}, "component"),
        ],
    )
    def test_a_forged_row_is_found(self, forged: dict[str, object], differs: str) -> None:
        engine = _engine(EVERYTHING)
        records = _log(engine, _requests(400))
        at = next(i for i, record in enumerate(records) if record.component == "control" and not record.customer)
        records[at] = msgspec.structs.replace(records[at], **forged)

        found = audit(records, Memory(engine.policy), rng=np.random.default_rng(0))

        assert found.differ.get(differs) == 1
        assert found.first[0].id == records[at].id


class TestSettings:
    def test_what_a_new_workspace_shows_in_comments_can_be_used(self) -> None:
        template = Path(bandit_nba.templates.__file__).parent / "telco"
        text = (template / "policy.toml").read_text()
        shown = text[text.index("# [baseline]") :].replace("\n# ", "\n").removeprefix("# ")
        policy = parse(text[: text.index("# [baseline]")] + shown, Policy, where="policy.toml")
        catalogue = parse((template / "catalogue.toml").read_text(), Catalogue, where="catalogue.toml")

        engine = world.engine(policy, catalogue)

        assert policy.baseline.order == ("loyalty_discount", "streaming_bundle")
        assert engine.acting(world.ExactModel()).name == "mixture"

    def test_from_toml(self) -> None:
        policy = parse(
            """
            [baseline]
            kind = "ranking"
            order = ["yearly", "discount"]

            [mixture]
            experiment = "spring-2026"
            control = 0.1
            [[mixture.challengers]]
            name = "bold"
            share = 0.2
            exploration = { kind = "squarecb", scale = 3.0 }
            """,
            Policy,
            where="policy.toml",
        )

        acting = world.engine(policy).acting(world.ExactModel())

        assert isinstance(acting, MixturePolicy)
        assert acting.names == ("champion", "bold", "control")

    @pytest.mark.parametrize(
        ("mixture", "words"),
        [
            (Mixture(control=0.1), "experiment: a control group needs the experiment's name"),
            (Mixture(apprentice=True, baseline_share=0.1), "the baseline decides alone in apprentice mode"),
            (Mixture(baseline_share=0.8, challengers=(BOLD,)), "leave nothing for the champion; got 1.05"),
            (Mixture(challengers=(BOLD, BOLD)), "is taken; got 'bold'"),
            (
                Mixture(challengers=(msgspec.structs.replace(BOLD, name="control"),)),
                "is taken; got 'control'",
            ),
        ],
    )
    def test_what_cannot_be_is_refused(self, mixture: Mixture, words: str) -> None:
        with pytest.raises(SettingsError) as caught:
            check_mixture(mixture)

        assert words in str(caught.value)
        assert "policy.toml: mixture" in str(caught.value)

    def test_a_floor_of_a_challenger_is_refused(self) -> None:
        text = '[[mixture.challengers]]\nname = "x"\nshare = 0.1\nexploration = { floor = 0.1 }'

        with pytest.raises(SettingsError, match=r"unknown key.*floor"):
            parse(text, Policy, where="policy.toml")

    @pytest.mark.parametrize(
        ("mixture", "words"),
        [
            (Mixture(), ""),
            (Mixture(apprentice=True), "the baseline decides, the learned policy is watched"),
            (
                EVERYTHING,
                "champion 0.5, bold 0.25, flat 0.125, baseline 0.125 of decisions; "
                "control group 0.25 of customers in spring",
            ),
            (Mixture(experiment="e", control=0.1), "control group 0.1 of customers in e"),
        ],
    )
    def test_in_words(self, mixture: Mixture, words: str) -> None:
        assert in_words(mixture) == words


def _in_control(decisions: Decisions) -> np.ndarray:
    assert decisions.credit is not None
    return np.array([decisions.credit.names[c] == "control" for c in decisions.credit.component])


def _log(engine: Engine, requests: Requests) -> list[DecisionRecord]:
    model = world.ExactModel()
    return logged_as(engine.decide(requests, model), engine.versions(model, reward=REWARD_VERSION))
