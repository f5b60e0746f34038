def test_the_readme_code_compares_bounds_and_measure(run_readme):
    names = run_readme()
    values = names["table"].set_index("quantity")["value"]
    assert values["Ju et al. 2023"] < values["Liao et al. 2021, GCN"] < values["Garg et al. 2020"]
    assert values["Hessian measure (gauss-newton)"] < values["Ju et al. 2023"]
