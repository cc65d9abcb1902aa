"""Which of the statements make up the program, and how it reads."""
