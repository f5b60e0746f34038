def test_the_readme_code_runs_and_finds_the_reversed_carts(run_readme):
    names = run_readme()
    assert len(names["team"].members) == 2
    assert {"backward 0", "backward 1"} in [set(group) for group in names["groups"].groups]
