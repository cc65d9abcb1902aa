"""What Cloud Storage's emulators lack, answered by a front that stands before them.

`front` is the application. Of its own it has `Buckets` (metadata), `Notifications`, `Policies`
(IAM) and `Batch`; what these remember lies in `Registrations`. Everything else is passed to the
`Emulator`, once `object_names` has found nothing in it that would leave the emulator's folder.
`FanOut` sends events to topics; where the emulator tells none, an `Observer` makes them.
"""
