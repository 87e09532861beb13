"""The model APIs: requests and responses, read as events."""
