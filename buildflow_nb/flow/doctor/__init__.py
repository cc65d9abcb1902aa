"""What the doctor looks at: the installation, the project folder, the startup file."""
