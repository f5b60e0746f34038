import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reprise.matrix_sensing as package
from reprise.matrix_sensing import principal_angle, recovery_error, signal_error_split


@given(d=st.integers(2, 8), r=st.integers(1, 3), k=st.integers(1, 8), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_signal_and_error_are_orthogonal_and_add_up(d, r, k, seed):
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(d, min(r, d), generator=generator, dtype=torch.float64)).Q
    U = torch.randn(d, k, generator=generator, dtype=torch.float64)
    Z, E = signal_error_split(U, basis)
    torch.testing.assert_close(basis @ Z + E, U)
    torch.testing.assert_close(basis.mT @ E, torch.zeros_like(Z), rtol=0, atol=1e-12)
    torch.testing.assert_close(Z.square().sum() + E.square().sum(), U.square().sum())


@pytest.mark.parametrize("angle", [1e-6, 0.3, math.pi / 2])
def test_principal_angle_of_a_turned_plane(angle):
    first = torch.eye(3, 2, dtype=torch.float64)
    second = torch.tensor([[1.0, 0.0], [0.0, math.cos(angle)], [0.0, math.sin(angle)]], dtype=torch.float64)
    assert float(principal_angle(first, second)) == pytest.approx(angle, rel=1e-6)


def test_recovery_error_refuses_what_has_no_answer():
    with pytest.raises(ValueError, match=r"estimate must have the shape of truth \(2, 2\), got \(3, 3\)"):
        recovery_error(torch.eye(3), torch.eye(2))
    with pytest.raises(ValueError, match="truth must not be zero"):
        recovery_error(torch.eye(2), torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"basis must have as many rows as factor \(3\), got 2"):
        signal_error_split(torch.eye(3), torch.eye(2))


def test_every_public_name_is_there():
    for name in package.__all__:
        assert getattr(package, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
