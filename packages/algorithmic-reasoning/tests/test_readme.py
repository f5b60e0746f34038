import torch


def test_the_readme_code_traces_samples_and_trains(run_readme):
    names = run_readme()
    assert names["steps"].outputs["is_bridge"].shape == (1, 12, 12)
    assert names["test"].outputs["pi"].shape == torch.Size([32, 64])
    assert names["model"].structure.num_modules == 3
    assert names["found"].structure.tasks == {"bfs", "bellman_ford", "dfs"}
    assert names["grown"].fits == 6
