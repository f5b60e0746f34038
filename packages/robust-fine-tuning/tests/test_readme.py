def test_the_readme_code_runs_and_its_measure_is_finite(run_readme):
    names = run_readme()
    assert 0 < names["found"].measure < 100
    assert len(names["found"].culprits(3)) == 3
