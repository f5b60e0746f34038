def test_the_readme_code_lowers_the_weights_within_the_budget(run_readme):
    names = run_readme()
    found, W = names["found"], names["W"]
    assert found.budget_used <= 0.05 * W.sum() * (1 + 1e-9)
    assert found.lower_bound <= found.objective < found.initial_objective
