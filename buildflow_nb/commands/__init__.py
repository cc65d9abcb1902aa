"""The words of `%buildflow` and `%%buildflow`: read, explained, completed by one table."""
