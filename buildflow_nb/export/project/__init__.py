"""The files around the program: requirements, image, README, tests."""
