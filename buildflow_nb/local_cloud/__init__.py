"""The local cloud: emulators and the provider that drives them, in processes of their own."""
