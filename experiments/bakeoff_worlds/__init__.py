"""The bake-off on the journey worlds that are not telco-journey: other trades, rarer answers, actions that arrive."""
