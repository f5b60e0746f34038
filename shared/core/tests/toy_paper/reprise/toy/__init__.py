"""A paper that does not exist, for the tests of the runner."""
