"""The bake-off: our default policy against nine peers, on data sets chosen by rule and on worlds."""
