"""A clock that is put back tells no earlier time, and catches up at half speed."""

from bandit_nba.store.steady import SteadyClock, steady


class Times:
    """The system's clock and the one that is never put back."""

    def __init__(self) -> None:
        self.system_s, self.monotonic_s = 1_000.0, 5.0

    def pass_(self, seconds: float) -> None:
        self.system_s += seconds
        self.monotonic_s += seconds


def of(times: Times) -> SteadyClock:
    return SteadyClock(lambda: times.system_s, monotonic=lambda: times.monotonic_s)


def test_it_is_the_systems_clock_as_long_as_that_goes_forward() -> None:
    times = Times()
    clock = of(times)

    assert clock() == 1_000.0
    times.pass_(10.0)
    assert clock() == 1_010.0
    times.system_s += 3_600.0  # put forward
    assert clock() == 4_610.0


def test_put_back_it_goes_on_at_half_speed_until_the_system_has_caught_up() -> None:
    times = Times()
    clock = of(times)
    assert clock() == 1_000.0

    times.system_s -= 60.0
    assert clock() == 1_000.0
    times.pass_(20.0)
    assert clock() == 1_010.0
    times.pass_(99.0)
    assert clock() == 1_059.5
    times.pass_(2.0)  # it had to catch up 60 s: 120 s at half speed
    assert clock() == 1_061.0 == times.system_s
    times.pass_(7.0)
    assert clock() == times.system_s


def test_put_back_and_forward_again_it_is_the_systems_clock_at_once() -> None:
    times = Times()
    clock = of(times)
    assert clock() == 1_000.0

    times.system_s -= 60.0
    assert clock() == 1_000.0
    times.system_s += 600.0
    assert clock() == 1_540.0
    times.pass_(3.0)
    assert clock() == 1_543.0


def test_it_can_be_told_of_a_later_time() -> None:
    times = Times()
    clock = of(times)
    clock.not_before(1_030.0)

    assert clock() == 1_030.0
    times.pass_(10.0)
    assert clock() == 1_035.0
    clock.not_before(900.0)
    assert clock() == 1_035.0


def test_a_steady_clock_is_made_once() -> None:
    clock = of(Times())

    assert steady(clock) is clock
    assert isinstance(steady(lambda: 1.0), SteadyClock)
