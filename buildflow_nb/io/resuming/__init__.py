"""Sources that go on where the last run was done."""
