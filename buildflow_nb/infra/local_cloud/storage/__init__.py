"""What Cloud Storage's emulators lack: notifications, bucket IAM, and the events that go out."""
