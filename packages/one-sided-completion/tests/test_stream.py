import numpy as np
import pytest

from reprise.one_sided_completion import (
    load_moment,
    merge_moments,
    read_blocks,
    save_moment,
    second_moment,
    second_moment_of_file,
    write_blocks,
)

pytest.importorskip("pyarrow")


@pytest.fixture
def file(tall, tmp_path):
    _, seen = tall
    path = tmp_path / "ratings.parquet"
    write_blocks(path, (seen[start : start + 700] for start in range(0, 3000, 700)))
    return path


def same(one, other, rtol=1e-12):
    assert one.rows == other.rows
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_array_equal(one.count, other.count)
    np.testing.assert_allclose(one.total, other.total, rtol=rtol)
    np.testing.assert_allclose(one.square, other.square, rtol=rtol)


def test_a_file_in_blocks_gives_the_moment_of_all_rows(tall, file):
    assert sum(block.nnz for block in read_blocks(file)) == tall[1].nnz
    same(second_moment_of_file(file), second_moment(tall[1]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_two_dask_workers_give_the_same_numbers(tall, file):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert len(client.scheduler_info()["workers"]) == 2
        found = second_moment_of_file(file, client=client)
        ht = second_moment_of_file(file, client=client, estimator="horvitz-thompson", p=0.15)
    same(found, second_moment(tall[1]))
    np.testing.assert_allclose(
        ht.pair_values, second_moment(tall[1], estimator="horvitz-thompson", p=0.15).pair_values, rtol=1e-12
    )


def test_files_that_split_a_user_or_lack_a_column_are_refused(tall, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"user": [0, 0, 1, 1], "item": [0, 1, 0, 1], "rating": [1.0, 2.0, 3.0, 4.0]})
    pq.write_table(table, tmp_path / "split.parquet", row_group_size=1)
    with pytest.raises(ValueError, match="columns must be given"):
        second_moment_of_file(tmp_path / "split.parquet")
    with pytest.raises(ValueError, match="group 1 begins with user 0"):
        second_moment_of_file(tmp_path / "split.parquet", columns=2)
    pq.write_table(table, tmp_path / "whole.parquet", row_group_size=2)
    assert second_moment_of_file(tmp_path / "whole.parquet", columns=2).count.tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match="items must lie between 0 and 0"):
        second_moment_of_file(tmp_path / "whole.parquet", columns=1)
    pq.write_table(table.drop(["item"]), tmp_path / "lacks.parquet")
    with pytest.raises(ValueError, match="lacks item"):
        second_moment_of_file(tmp_path / "lacks.parquet", columns=2)


def test_a_saved_moment_comes_back(tall, tmp_path):
    moment = second_moment(tall[1], estimator="horvitz-thompson", p=0.15)
    save_moment(tmp_path / "m.npz", moment, items=np.arange(40) * 3)
    found, items = load_moment(tmp_path / "m.npz")
    same(found, moment)
    assert (found.estimator, found.p, items[-1]) == ("horvitz-thompson", 0.15, 117)
    with pytest.raises(ValueError, match="different ids in order"):
        save_moment(tmp_path / "m.npz", moment, items=np.zeros(40))
    (tmp_path / "x.npz").write_bytes(b"x")
    with pytest.raises(ValueError, match="holds no moment"):
        load_moment(tmp_path / "x.npz")


def test_two_sites_with_different_items_add_up_to_one(tall):
    _, seen = tall
    left, right = seen[:1000, :25].tocsr(), seen[1000:, 10:].tocsr()
    merged, items = merge_moments([(second_moment(left), np.arange(25)), (second_moment(right), np.arange(10, 40))])
    dense = seen.toarray()
    dense[:1000, 25:], dense[1000:, :10] = 0.0, 0.0
    mask = dense != 0
    assert items.tolist() == list(range(40))
    np.testing.assert_array_equal(merged.counts.toarray(), mask.T.astype(float) @ mask)
    np.testing.assert_allclose(merged.symmetric(merged.total).toarray(), dense.T @ dense, atol=1e-12)
