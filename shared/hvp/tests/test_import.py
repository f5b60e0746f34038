def test_package_imports():
    import reprise.hvp as m

    assert m.__doc__
