def test_package_shows_its_public_names():
    import reprise.hvp as hvp

    assert all(getattr(hvp, name) is not None for name in hvp.__all__)
