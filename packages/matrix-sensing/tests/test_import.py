def test_package_imports():
    import reprise.matrix_sensing as m

    assert m.__doc__
