"""Pulumi's engine: found, driven, listened to, and mended after sudden ends."""
