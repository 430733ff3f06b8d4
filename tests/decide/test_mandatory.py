"""Mandatory actions come first with probability 1, and the log says that nothing else could have been chosen."""

import msgspec
import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue, Treatment
from bandit_nba.decide.batch import Decisions
from bandit_nba.decide.choice.mandatory import Mandatory
from bandit_nba.decide.policy import Challenger, Exploration, Explorer, Mixture, Policy
from tests.decide import decide_world as world

RECALL = Action(id="recall", kind="information", group="serve", mandatory=True, channels=("web", "call"))
NOTICE = Action(
    id="notice",
    kind="information",
    group="serve",
    mandatory=True,
    safe_without_profile=True,
    eligibility="customer.senior",
    treatments=(Treatment(id="short"), Treatment(id="long")),
)
CATALOGUE = msgspec.structs.replace(world.CATALOGUE, actions=(*world.CATALOGUE.actions[:9], NOTICE, RECALL))
NAMES = [arm.id for arm in CATALOGUE.arms]
NOTICES = [NAMES.index("notice/short"), NAMES.index("notice/long")]
AT_RECALL = NAMES.index("recall")


def decide(catalogue: Catalogue = CATALOGUE, *, policy: Policy = world.POLICY, **more: float) -> Decisions:
    return world.engine(policy, catalogue).decide(world.requests(400, **more), world.ExactModel())  # type: ignore[arg-type]


def test_the_first_eligible_mandatory_action_has_all_the_probability() -> None:
    made = decide()
    mask, p = made.eligibility.mask, made.probability
    with_notice = mask[:, NOTICES[0]]
    with_recall = mask[:, AT_RECALL] & ~with_notice
    neither = ~with_notice & ~with_recall

    assert min(with_notice.sum(), with_recall.sum(), neither.sum()) > 20
    np.testing.assert_allclose(p[with_notice][:, NOTICES].sum(axis=1), 1.0, atol=1e-12)
    assert (p[with_notice][:, NOTICES] > 0.0).all()
    assert (p[with_recall, AT_RECALL] == 1.0).all()
    assert (p[~mask] == 0.0).all()
    assert (made.propensity > 0.0).all()


def test_its_treatments_share_as_the_policy_would_have_shared() -> None:
    ordinary = tuple(msgspec.structs.replace(action, mandatory=False) for action in CATALOGUE.actions)
    free, made = decide(msgspec.structs.replace(CATALOGUE, actions=ordinary)), decide()
    rows = made.eligibility.mask[:, NOTICES[0]]
    wanted = free.probability[rows][:, NOTICES]

    np.testing.assert_allclose(
        made.probability[rows][:, NOTICES], wanted / wanted.sum(axis=1, keepdims=True), rtol=1e-12
    )
    np.testing.assert_array_equal(
        made.probability[~rows & ~made.eligibility.mask[:, AT_RECALL]][:, :5] > 0.0,
        made.eligibility.mask[~rows & ~made.eligibility.mask[:, AT_RECALL]][:, :5],
    )


def test_rows_say_that_they_have_no_support() -> None:
    made = decide()
    insisted = made.eligibility.mask[:, [*NOTICES, AT_RECALL]].any(axis=1)

    np.testing.assert_array_equal(made.support, ~insisted)


def test_where_the_policy_would_never_choose_it_its_treatments_share_evenly() -> None:
    p = Mandatory(CATALOGUE.arms).first(np.eye(1, len(NAMES)), np.ones((1, len(NAMES)), dtype=bool))

    assert p[0, NOTICES].tolist() == [0.5, 0.5]
    assert p.sum() == 1.0


def test_an_unread_profile_leaves_only_safe_mandatory_actions() -> None:
    made = decide(readable=0.0)

    assert not made.eligibility.mask[:, AT_RECALL].any()
    seniors = made.eligibility.mask[:, NOTICES[0]]
    np.testing.assert_allclose(made.probability[seniors][:, NOTICES].sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize(
    "mixture",
    [
        Mixture(
            challengers=(Challenger(name="bold", share=0.3, exploration=Explorer(kind="uniform")),), baseline_share=0.2
        ),
        Mixture(apprentice=True),
        Mixture(control=0.4, experiment="e1"),
    ],
)
def test_whoever_acts_in_a_mixture(mixture: Mixture) -> None:
    policy = msgspec.structs.replace(world.POLICY, mixture=mixture, exploration=Exploration(floor=0.1))
    made = decide(policy=policy)
    rows = np.flatnonzero(made.eligibility.mask[:, AT_RECALL] & ~made.eligibility.mask[:, NOTICES[0]])

    assert made.credit is not None
    np.testing.assert_allclose(made.probability[rows, AT_RECALL], 1.0, atol=1e-12)
    np.testing.assert_allclose(made.credit.probability[rows, AT_RECALL], 1.0, atol=1e-12)
    if made.shadow is not None:
        np.testing.assert_allclose(made.shadow.probability[rows, AT_RECALL], 1.0, atol=1e-12)


def test_the_safe_policy_puts_them_first_too() -> None:
    engine = world.engine(world.POLICY, CATALOGUE)
    requests = world.requests(100)
    eligibility = engine.eligible(requests)
    made = engine.fall_back(requests, eligibility)
    seniors = eligibility.mask[:, NOTICES[0]]

    assert seniors.any()
    assert (made.probability[seniors][:, NOTICES] == 0.5).all()


def test_components_of_a_mixture_are_credited_with_what_they_would_have_done() -> None:
    """share x own probability is the chance of arm and component together, so over components it adds up to the arm's.

    The champion of this model prefers one of the two treatments, the baseline shares them evenly.
    """
    exploration = Exploration(kind="squarecb", scale=1000.0, floor=0.0)
    policy = msgspec.structs.replace(world.POLICY, exploration=exploration, mixture=Mixture(baseline_share=0.5))
    engine = world.engine(policy, CATALOGUE)
    requests = world.requests(400)
    made = engine.decide(requests, world.ExactModel())
    rows = np.flatnonzero(made.eligibility.mask[:, NOTICES[0]])

    # By hand: what each component does with the two treatments alone, given that it must choose one of them.
    champion = world.engine(msgspec.structs.replace(policy, mixture=Mixture()), CATALOGUE).decide(
        requests, world.ExactModel()
    )
    own = champion.probability[rows][:, NOTICES]
    assert np.abs(own[:, 0] - 0.5).max() > 0.2, "the treatments must differ for this to say anything"
    np.testing.assert_allclose(made.probability[rows][:, NOTICES], 0.5 * own + 0.5 * 0.5, atol=1e-12)
