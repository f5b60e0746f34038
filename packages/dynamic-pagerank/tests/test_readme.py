def test_the_readme_code_follows_a_graph(run_readme):
    names = run_readme()
    assert names["found"].certain and len(names["found"].labels) == 5
    assert names["ppr"].stats.updates == len(names["edges"]) + 1000
    assert names["graph"].number_of_edges() == len(names["edges"]) - 1000
